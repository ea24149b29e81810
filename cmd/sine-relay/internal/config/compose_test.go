package config

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// With another interval the relay would keep too little, or store in batches where that is
// slower.
func TestSettings_OfTheComposeFilesSayHowOftenNATSSyncs(t *testing.T) {
	for file, conf := range map[string]string{"compose.yaml": "single.conf", "nats/compose.yaml": "nats.conf"} {
		var compose struct {
			Services map[string]struct{ Environment yaml.Node }
		}
		if err := yaml.Unmarshal(readDeployed(t, file), &compose); err != nil {
			t.Fatal(err)
		}
		relay := compose.Services["relay"].Environment
		var set map[string]string
		if err := relay.Decode(&set); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		found := regexp.MustCompile(`\n *sync_interval: "?(\w+)"?\n`).FindSubmatch(readDeployed(t, "nats/"+conf))
		if found == nil {
			t.Fatalf("%s has no sync_interval", conf)
		}
		want := string(found[1])
		if want == "always" {
			want = "0s"
		}
		if got := set["SINE_RELAY_NATS_SYNC_INTERVAL"]; got != want {
			t.Errorf("%s says %q, and NATS syncs as %s says: %q", file, got, conf, want)
		}
	}
}

func readDeployed(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile("../../../../deploy/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// The desk of the compose files is for this machine, and takes no address of another
// container.
func TestDesk_OfTheComposeFilesStarts(t *testing.T) {
	env := []string{}
	for _, file := range []string{"compose.yaml", "nats/compose.yaml"} {
		var compose struct {
			Services map[string]struct {
				NetworkMode string `yaml:"network_mode"`
				Environment yaml.Node
				Ports       []string
			}
		}
		if err := yaml.Unmarshal(readDeployed(t, file), &compose); err != nil {
			t.Fatal(err)
		}
		desk, there := compose.Services["desk"]
		var set map[string]string
		if err := desk.Environment.Decode(&set); err != nil || !there {
			t.Fatalf("%s: %v", file, err)
		}
		for name, value := range set {
			env = append(env, name+"="+value)
		}
		if file == "compose.yaml" && desk.NetworkMode != "host" {
			t.Errorf("the network is %q: nobody reaches the loopback of a container of its own", desk.NetworkMode)
		}
		s, d, err := LoadForDesk(env, nil)
		if err != nil || !d.Loopback || !strings.Contains(strings.Join(compose.Services["nats"].Ports, " "), "127.0.0.1:4222:4222") && file == "compose.yaml" {
			t.Errorf("%s: %+v, %v", file, d, err)
		}
		for _, service := range compose.Services {
			for _, port := range service.Ports {
				if strings.HasPrefix(port, s.DeskListen+":") || strings.HasPrefix(port, s.DeskAdminListen+":") {
					t.Errorf("%s: port %s is that of the desk, too", file, port)
				}
			}
		}
	}
}
