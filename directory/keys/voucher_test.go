package keys

import (
	"errors"
	"testing"
	"time"
)

func TestVoucherIsTakenUp(t *testing.T) {
	disk, family := newDisk(), GenerateFamily()
	id := newSet(t, disk, false, testTime).ID()
	put := func(c Certificate) {
		text, err := c.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		disk.files[voucherFile] = append(text, '\n')
	}
	put(family.Vouch(id, testTime, testTime.Add(time.Hour)))
	s := newSet(t, disk, false, testTime)
	c, ok := s.Voucher(testTime)
	if p, err := c.Newcomer(id, testTime); !ok || err != nil || p != family.Public() {
		t.Errorf("voucher by %v, %v, %v", p, ok, err)
	}
	if _, err := c.FamilyMember(id, testTime); !errors.Is(err, ErrWrongKind) {
		t.Errorf("a voucher makes a member: %v", err)
	}
	if _, ok := s.Voucher(testTime.Add(time.Hour)); ok {
		t.Error("shown when it has run out")
	}
	put(family.Vouch(GenerateIdentity().Public(), testTime, testTime.Add(time.Hour)))
	if _, err := load(disk, false); !errors.Is(err, ErrSigner) {
		t.Errorf("another relay's: %v", err)
	}
	put(family.CertifyMember(id, testTime, testTime.Add(time.Hour)))
	if _, err := load(disk, false); !errors.Is(err, ErrWrongKind) {
		t.Errorf("a family's certificate: %v", err)
	}
	disk.files[voucherFile] = make([]byte, maxVoucherFile+1)
	if _, err := load(disk, false); !errors.Is(err, ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
}
