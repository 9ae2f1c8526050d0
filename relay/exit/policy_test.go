package exit

import (
	"net/netip"
	"testing"

	"tunic/directory"
)

func policy(t testing.TB, lines ...string) directory.Policy {
	t.Helper()
	p, err := directory.ParsePolicy(lines)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAllows(t *testing.T) {
	const own = "8.8.4.4" // as if this machine had it
	rows := []struct {
		policy  []string
		private bool
		to      string
		want    bool
	}{
		{nil, false, "8.8.8.8:80", false},
		{[]string{"accept *:80"}, false, "8.8.8.8:80", true},
		{[]string{"accept *:80"}, false, "8.8.8.8:81", false},
		{[]string{"accept *:80"}, false, "[2606:4700::1]:80", true},
		{[]string{"accept *4:80"}, false, "[2606:4700::1]:80", false},
		{[]string{"accept *:*"}, false, "8.8.8.8:0", false},
		{[]string{"reject 8.8.8.0/24:*", "accept *:*"}, false, "8.8.8.8:80", false},
		{[]string{"accept 8.8.8.8:80", "reject *:*"}, false, "8.8.8.8:80", true},
		// Special addresses, whatever the wildcard says.
		{[]string{"accept *:*"}, false, "0.0.0.0:80", false},
		{[]string{"accept *:*"}, false, "127.0.0.1:80", false},
		{[]string{"accept *:*"}, false, "127.255.3.4:80", false},
		{[]string{"accept *:*"}, false, "10.1.2.3:80", false},
		{[]string{"accept *:*"}, false, "100.64.0.1:80", false},
		{[]string{"accept *:*"}, false, "169.254.169.254:80", false},
		{[]string{"accept *:*"}, false, "172.16.0.1:80", false},
		{[]string{"accept *:*"}, false, "192.168.1.1:80", false},
		{[]string{"accept *:*"}, false, "224.0.0.1:80", false},
		{[]string{"accept *:*"}, false, "255.255.255.255:80", false},
		{[]string{"accept *:*"}, false, "[::]:80", false},
		{[]string{"accept *:*"}, false, "[::1]:80", false},
		{[]string{"accept *:*"}, false, "[::ffff:127.0.0.1]:80", false},
		{[]string{"accept *:*"}, false, "[::ffff:8.8.8.8]:80", true},
		{[]string{"accept *:*"}, false, "[::127.0.0.1]:80", false},
		{[]string{"accept *:*"}, false, "[64:ff9b::7f00:1]:80", false},
		{[]string{"accept *:*"}, false, "[2002:7f00:1::]:80", false},
		{[]string{"accept *:*"}, false, "[fc00::1]:80", false},
		{[]string{"accept *:*"}, false, "[fe80::1]:80", false},
		{[]string{"accept *:*"}, false, "[fe80::1%lo]:80", false},
		{[]string{"accept *:*"}, false, "[ff02::1]:80", false},
		{[]string{"accept *:*"}, false, own + ":80", false},
		// Named by the operator.
		{[]string{"accept 192.168.1.0/24:80", "accept *:*"}, false, "192.168.1.1:80", true},
		{[]string{"accept 192.168.1.0/24:80", "accept *:*"}, false, "192.168.1.1:81", false},
		{[]string{"accept 192.168.1.0/24:80", "accept *:*"}, false, "192.168.2.1:80", false},
		{[]string{"accept *:*", "accept 192.168.1.0/24:80"}, false, "192.168.1.1:80", false},
		{[]string{"accept 192.0.0.0/8:80"}, false, "192.168.1.1:80", false},
		{[]string{"accept 0.0.0.0/0:80"}, false, "127.0.0.1:80", false},
		{[]string{"accept 127.0.0.1:80"}, false, "127.0.0.1:80", true},
		{[]string{"accept [::1]:80"}, false, "[::1]:80", true},
		{[]string{"accept 8.8.4.4:80"}, false, own + ":80", true},
		{[]string{"accept 8.8.4.0/24:80"}, false, own + ":80", false},
		// A network with private_addresses: the policy alone decides.
		{[]string{"accept *:*"}, true, "127.0.0.1:80", true},
		{[]string{"accept *:*"}, true, own + ":80", true},
		{[]string{"accept *:81"}, true, "127.0.0.1:80", false},
		{nil, true, "127.0.0.1:80", false},
	}
	for _, row := range rows {
		e := New(Config{Policy: policy(t, row.policy...), Private: row.private, Own: func() []netip.Addr { return addrs(own) }})
		if got := e.Allows(netip.MustParseAddrPort(row.to)); got != row.want {
			t.Errorf("policy %v, private %v: Allows(%v) = %v", row.policy, row.private, row.to, got)
		}
		e.Close()
	}
}

func TestAddressesOfThisMachineAreRefused(t *testing.T) {
	list, err := interfaceAddrs()
	if err != nil || len(list) == 0 {
		t.Skipf("no interface addresses: %v", err)
	}
	e := New(Config{Policy: policy(t, "accept *:*")})
	defer e.Close()
	for _, a := range list {
		if e.Allows(netip.AddrPortFrom(a, 80)) {
			t.Errorf("an interface address is allowed (%d in all)", len(list))
		}
	}
}

func TestPolicyChangesWhileRunning(t *testing.T) {
	e := New(Config{Policy: policy(t, "accept *:80")})
	defer e.Close()
	to := netip.MustParseAddrPort("8.8.8.8:80")
	if !e.Allows(to) {
		t.Fatal("not allowed at first")
	}
	e.SetPolicy(policy(t, "reject *:80"))
	if e.Allows(to) {
		t.Error("allowed by the old policy")
	}
}

func TestMayReach(t *testing.T) {
	rows := []struct {
		policy []string
		port   uint16
		v4, v6 bool
	}{
		{nil, 80, false, false},
		{[]string{"accept *:80"}, 80, true, true},
		{[]string{"accept *:80"}, 81, false, false},
		{[]string{"accept *6:80"}, 80, false, true},
		{[]string{"reject *4:80", "accept *:*"}, 80, false, true},
		{[]string{"reject 8.0.0.0/8:80", "accept *:80"}, 80, true, true},
		{[]string{"accept 8.0.0.0/8:80"}, 80, true, false},
		{[]string{"accept [2600::/16]:80"}, 80, false, true},
		{[]string{"reject *:80", "accept 8.8.8.8:80"}, 80, false, false},
	}
	for _, row := range rows {
		e := New(Config{Policy: policy(t, row.policy...)})
		if v4, v6 := e.mayReach(row.port, directory.IPv4), e.mayReach(row.port, directory.IPv6); v4 != row.v4 || v6 != row.v6 {
			t.Errorf("policy %v: port %d may be reached: %v, %v", row.policy, row.port, v4, v6)
		}
		e.Close()
	}
}
