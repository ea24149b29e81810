package clientip

import "testing"

func TestForwarded(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"one proxy", []string{"for=203.0.113.7"}, outside},
		{"no header", nil, "10.0.0.1"},
		{"in quotes", []string{`for="203.0.113.7"`}, outside},
		{"a port", []string{`for="203.0.113.7:5678"`}, outside},
		{"a port without quotes", []string{`for=203.0.113.7:5678`}, outside},
		{"a hidden port", []string{`for="203.0.113.7:_p.0-_"`}, outside},
		{"an IPv6 address", []string{`for="[2001:db8::1]"`}, "2001:db8::1"},
		{"an IPv6 address and a port", []string{`for="[2001:db8::1]:4711"`}, "2001:db8::1"},
		{"an IPv6 address and a hidden port", []string{`for="[2001:db8::1]:_x"`}, "2001:db8::1"},
		{"an IPv6 address without quotes", []string{`for=[2001:db8::1]`}, "2001:db8::1"},
		{"capitals", []string{"FOR=203.0.113.7;Proto=https"}, outside},
		{"among other parameters", []string{`by=_x;proto=https;for=203.0.113.7;host="a.example:80"`}, outside},
		{"space around a semicolon", []string{`for=203.0.113.7 ; proto=https`}, outside},
		{"semicolons that stand alone", []string{`;for=203.0.113.7;;proto=https;`}, outside},
		{"two proxies", []string{`for=203.0.113.7, for=10.0.0.2;by=10.0.0.1`}, outside},
		{"several lines", []string{`for=6.6.6.6`, `for=203.0.113.7,for="[fd00::2]"`, `for=10.0.0.3`}, outside},
		{"all are trusted", []string{`for=10.0.0.3, for=10.0.0.2`}, "10.0.0.3"},
		{"a comma in quotes", []string{`for=203.0.113.7;host="a, for=6.6.6.6"`}, outside},
		{"a semicolon in quotes", []string{`for=203.0.113.7;host="a;for=6.6.6.6"`}, outside},
		{"an escaped quote in quotes", []string{`for=203.0.113.7;host="a\", for=6.6.6.6;b=\""`}, outside},
		{"an escaped backslash before the end of quotes", []string{`for=203.0.113.7;host="a\\", for=10.0.0.2;host="\\"`}, outside},

		{"the caller sends the header, too", []string{`for=6.6.6.6, for=203.0.113.7`}, outside},
		{"the caller sends it in a line of its own", []string{`for=6.6.6.6`, `for=203.0.113.7`}, outside},
		{"the caller opens a quote", []string{`for=6.6.6.6;x=", for=203.0.113.7`}, outside},
		{"the caller opens a quote, and the proxy uses quotes", []string{`for="6.6.6.6, for="203.0.113.7"`}, outside},
		{"the caller opens a quote before several parameters", []string{`for=6.6.6.6;x=", by="_a";for="[2001:db8::1]";host="b"`}, "2001:db8::1"},
		{"the caller ends with a backslash", []string{`for=6.6.6.6;x="\, for="203.0.113.7"`}, outside},
		{"the caller sends what the other header holds", []string{`6.6.6.6, for=203.0.113.7`}, outside},
		{"the caller is trusted itself", []string{`for=6.6.6.6, for=10.9.9.9`}, forged},

		{"a hidden caller", []string{`for=6.6.6.6, for=_hidden`}, "10.0.0.1"},
		{"an unknown caller", []string{`for=6.6.6.6, for=unknown`}, "10.0.0.1"},
		{"an unknown caller behind two proxies", []string{`for=6.6.6.6, for="unknown", for=10.0.0.2`}, "10.0.0.2"},
		{"no for", []string{`for=6.6.6.6, proto=https;by=203.0.113.7`}, "10.0.0.1"},
		{"an empty for", []string{`for=6.6.6.6, for=`}, "10.0.0.1"},
		{"an empty for in quotes", []string{`for=6.6.6.6, for=""`}, "10.0.0.1"},
		{"an empty element", []string{`for=6.6.6.6, `}, "10.0.0.1"},
		{"for twice", []string{`for=6.6.6.6;for=203.0.113.7`}, "10.0.0.1"},
		{"for twice, once unknown", []string{`for=6.6.6.6;for=unknown`}, "10.0.0.1"},
		{"a parameter without a value", []string{`for=203.0.113.7;proto`}, "10.0.0.1"},
		{"a parameter without a name", []string{`for=203.0.113.7;=https`}, "10.0.0.1"},
		{"space around the equals sign", []string{`for = 203.0.113.7`}, "10.0.0.1"},
		{"a quote that does not close", []string{`for="203.0.113.7`}, "10.0.0.1"},
		{"a quote that does not open", []string{`for=203.0.113.7"`}, "10.0.0.1"},
		{"quotes in quotes", []string{`for="[fe80::1%"x"]"`}, "10.0.0.1"},
		{"something after the quotes", []string{`for="203.0.113.7"x`}, "10.0.0.1"},
		{"another parameter's quotes are odd", []string{`for=203.0.113.7;proto=ht"tp`}, "10.0.0.1"},
		{"another parameter's quotes are in the middle", []string{`for=203.0.113.7;proto=ht"t"p`}, "10.0.0.1"},
		{"an escaped digit", []string{`for="203.0.113.\7"`}, "10.0.0.1"},
		{"a bare address", []string{outside}, "10.0.0.1"},
		{"a port that is no name either", []string{`for="203.0.113.7:_"`}, "10.0.0.1"},
		{"a hidden port with odd signs", []string{`for="203.0.113.7:_a/b"`}, "10.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := header(Forwarded, c.lines...)
			h.Set("X-Forwarded-For", forged)
			if got := trusting(t, Forwarded).Address(proxy, h); got != addr(c.want) {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}
