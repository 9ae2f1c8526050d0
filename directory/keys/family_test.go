package keys

import (
	"errors"
	"testing"
	"time"
)

func TestFamilyMember(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	family, relay, other := GenerateFamily(), GenerateIdentity(), GenerateIdentity()
	c := family.CertifyMember(relay.Public(), now, now.Add(time.Hour))
	if got, err := c.FamilyMember(relay.Public(), now); err != nil || got != family.Public() {
		t.Errorf("FamilyMember = %v, %v; want the family", got, err)
	}
	if _, err := c.FamilyMember(other.Public(), now); !errors.Is(err, ErrSigner) {
		t.Errorf("another relay: %v, want ErrSigner", err)
	}
	if _, err := c.FamilyMember(relay.Public(), now.Add(time.Hour)); !errors.Is(err, ErrExpired) {
		t.Errorf("an hour later: %v, want ErrExpired", err)
	}
	note := relay.CertifyNote(NotePublic(other.Public()), now, now.Add(time.Hour))
	if _, err := note.FamilyMember(other.Public(), now); !errors.Is(err, ErrWrongKind) {
		t.Errorf("a note key's certificate: %v, want ErrWrongKind", err)
	}
	c.Subject = other.Public()
	if _, err := c.FamilyMember(other.Public(), now); !errors.Is(err, ErrSignature) {
		t.Errorf("with another subject: %v, want ErrSignature", err)
	}
}

func TestFamilyKeyInTheDirectory(t *testing.T) {
	disk, family := newDisk(), GenerateFamily()
	disk.files[familyFile] = EncodeFamily(family) // before the first start
	s := newSet(t, disk, false, testTime)
	c, ok := s.Family(testTime)
	if got, err := c.FamilyMember(s.ID(), testTime); !ok || err != nil || got != family.Public() {
		t.Errorf("%v, %v", ok, err)
	}
	if _, ok := newSet(t, newDisk(), false, testTime).Family(testTime); ok {
		t.Error("a family without a key")
	}
	broken := disk.reboot()
	broken.files[familyFile] = broken.files[identityFile]
	if _, err := load(broken, false); !errors.Is(err, ErrMalformed) {
		t.Errorf("a broken file: %v", err)
	}
}
