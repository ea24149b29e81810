package clientip

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestParsePrefixes_AcceptsAddressesAndPrefixes(t *testing.T) {
	for _, c := range []struct{ name, entry, want string }{
		{"a prefix", "10.0.0.0/8", "10.0.0.0/8"},
		{"an address", "192.0.2.7", "192.0.2.7/32"},
		{"an IPv6 prefix", "2001:db8::/32", "2001:db8::/32"},
		{"an IPv6 address", "2001:db8::1", "2001:db8::1/128"},
		{"an address in full", "2001:0db8:0:0:0:0:0:1", "2001:db8::1/128"},
		{"everybody", "0.0.0.0/0", "0.0.0.0/0"},
		{"white space", " 10.0.0.0/8\t\n", "10.0.0.0/8"},
		{"IPv4 in IPv6", "::ffff:192.0.2.7", "192.0.2.7/32"},
		{"a prefix of IPv4 in IPv6", "::ffff:10.0.0.0/104", "10.0.0.0/8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParsePrefixes([]string{c.entry})
			if err != nil || len(got) != 1 || got[0].String() != c.want {
				t.Errorf("%v, %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestParsePrefixes_SaysWhatIsWrong(t *testing.T) {
	const example = "write for example 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32"
	for _, c := range []struct{ name, entry, want string }{
		{"host bits", "10.0.0.1/8", "10.0.0.1/8: host bits are set; did you mean 10.0.0.0/8?"},
		{"host bits of IPv6", "2001:db8::1/64", "2001:db8::1/64: host bits are set; did you mean 2001:db8::/64?"},
		{"host bits of IPv4 in IPv6", "::ffff:10.0.0.1/104", "::ffff:10.0.0.1/104: host bits are set; did you mean 10.0.0.0/8?"},
		{"nothing", "", `"" is neither an address nor a prefix; ` + example},
		{"a name", "proxy.internal", `"proxy.internal" is neither an address nor a prefix; ` + example},
		{"an address cut short", "10.0.0/8", `"10.0.0/8" is neither an address nor a prefix; ` + example},
		{"a port", "10.0.0.1:80", `"10.0.0.1:80" is neither an address nor a prefix; did you mean 10.0.0.1?`},
		{"brackets", "[2001:db8::1]", `"[2001:db8::1]" is neither an address nor a prefix; did you mean 2001:db8::1?`},
		{"a zone", "fe80::1%eth0", `"fe80::1%eth0" is neither an address nor a prefix; did you mean fe80::1?`},
		{"a zone in a prefix", "fe80::1%eth0/64", `"fe80::1%eth0/64" is neither an address nor a prefix; did you mean fe80::/64?`},
		{"brackets in a prefix", "[2001:db8::]/32", `"[2001:db8::]/32" is neither an address nor a prefix; did you mean 2001:db8::/32?`},
		{"too many bits", "10.0.0.0/33", `"10.0.0.0/33" is neither an address nor a prefix; after the slash goes a number from 0 to 32`},
		{"a netmask", "10.0.0.0/255.0.0.0", `"10.0.0.0/255.0.0.0" is neither an address nor a prefix; after the slash goes a number from 0 to 32`},
		{"no bits", "2001:db8::/", `"2001:db8::/" is neither an address nor a prefix; after the slash goes a number from 0 to 128`},
		{"a few bits of IPv4 in IPv6", "::ffff:10.0.0.0/8", `"::ffff:10.0.0.0/8" is neither an address nor a prefix; did you mean 10.0.0.0/8?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParsePrefixes([]string{"192.0.2.7", c.entry})
			if err == nil || err.Error() != c.want || got != nil {
				t.Errorf("%v, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestParsePrefixes_NamesEveryInvalidOne(t *testing.T) {
	_, err := ParsePrefixes([]string{"10.0.0.1/8", "10.0.0.0/8", "x"})
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 2 {
		t.Fatalf("%v", err)
	}
	if none, err := ParsePrefixes(nil); none != nil || err != nil {
		t.Errorf("no entries gave %v, %v", none, err)
	}
}

func TestAllowed_AnEmptyListAllowsEveryAddress(t *testing.T) {
	some := prefixes(t, "192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "fe80::/10")
	for _, c := range []struct {
		name    string
		list    []netip.Prefix
		addr    netip.Addr
		allowed bool
	}{
		{"everybody, by an empty list", nil, addr(outside), true},
		{"the zero address, by an empty list", []netip.Prefix{}, netip.Addr{}, true},
		{"the zero address, by a list", some, netip.Addr{}, false},
		{"the zero address, by a list of everybody", prefixes(t, "0.0.0.0/0", "::/0"), netip.Addr{}, false},
		{"an address within a prefix", some, addr("192.0.2.200"), true},
		{"an address beside a prefix", some, addr("192.0.3.0"), false},
		{"the very address", some, addr("198.51.100.7"), true},
		{"the next address", some, addr("198.51.100.8"), false},
		{"an IPv6 address", some, addr("2001:db8:1::1"), true},
		{"an IPv6 address elsewhere", some, addr("2001:db9::1"), false},
		{"IPv4 in IPv6", some, addr("::ffff:192.0.2.1"), true},
		{"an address with a zone", some, addr("fe80::1%eth0"), true},
		{"IPv4 by a list of all IPv6", prefixes(t, "::/0"), addr(outside), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Allowed(c.list, c.addr); got != c.allowed {
				t.Errorf("allowed: %v", got)
			}
		})
	}
}

func ExampleParsePrefixes() {
	_, err := ParsePrefixes([]string{"10.0.0.1/8", "proxy:80"})
	fmt.Println(err)
	// Output:
	// 10.0.0.1/8: host bits are set; did you mean 10.0.0.0/8?
	// "proxy:80" is neither an address nor a prefix; write for example 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32
}

func TestNetwork_ShortensAnAddress(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.7": "203.0.113.0/24", "::ffff:203.0.113.7": "203.0.113.0/24", "127.0.0.1": "127.0.0.0/24",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1::/48", "fe80::1%eth0": "fe80::/48", "": "unknown",
	} {
		if got := Network(addr(address)); got != want {
			t.Errorf("%q is shown as %s, want %s", address, got, want)
		}
	}
}

func TestClient_WhoIsOne(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		same       bool
	}{
		{"neighbours in IPv4", "203.0.113.7", "203.0.113.8", false},
		{"one /64", "2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true},
		{"two neighbouring /64", "2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"IPv4, and the same in IPv6", "203.0.113.7", "::ffff:203.0.113.7", true},
		{"two in IPv4 in IPv6", "::ffff:203.0.113.7", "::ffff:203.0.113.8", false},
		{"two zones", "fe80::1%a", "fe80::1%b", true},
		{"two without an address", "", "", true},
		{"one without an address and one with", "", "0.0.0.0", false},
		{"the zeroes of both families", "0.0.0.0", "::", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if same := Client(addr(c.a)) == Client(addr(c.b)); same != c.same {
				t.Errorf("one client: %v", same)
			}
		})
	}
}
