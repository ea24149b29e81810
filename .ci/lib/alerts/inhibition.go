package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// inhibition sends all that fires in [causes] to an Alertmanager with the
// configuration that is shipped, and compares what is left with what should be.
func inhibition(program, config string) error {
	folder, err := os.MkdirTemp("", "alertmanager")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	address, err := free()
	if err != nil {
		return err
	}
	var log bytes.Buffer
	run := exec.Command(program, "--config.file="+config, "--storage.path="+folder, "--web.listen-address="+address, "--cluster.listen-address=")
	run.Stdout, run.Stderr = &log, &log
	if err := run.Start(); err != nil {
		return err
	}
	defer run.Wait()
	defer run.Process.Kill()
	if err := compare("http://" + address + "/api/v2/alerts"); err != nil {
		return fmt.Errorf("%w\n%s", err, &log)
	}
	return nil
}

// free is an address of this machine that nobody listens at: Alertmanager does not say
// which one it took.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func compare(url string) error {
	var sent []map[string]labels
	var want []string
	for _, c := range slices.Concat(causes(), moreUrgent()) {
		for _, alert := range slices.Concat(c.causes, c.effects) {
			sent = append(sent, map[string]labels{"labels": parse(alert)})
		}
		want = append(want, c.causes...)
	}
	body, err := json.Marshal(sent)
	if err != nil {
		return err
	}
	if err := post(url, body); err != nil {
		return err
	}
	got, err := left(url + "?inhibited=false")
	if err != nil {
		return err
	}
	slices.Sort(want)
	slices.Sort(got)
	fmt.Printf("Alertmanager: of %d alerts %d are left\n", len(sent), len(got))
	return differences(got, want)
}

// post tries until the Alertmanager listens.
func post(url string, body []byte) error {
	for giveUp := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Post(url, "application/json", bytes.NewReader(body))
		if err != nil && time.Now().Before(giveUp) {
			continue
		}
		if err != nil {
			return err
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("post alerts: %s: %s", resp.Status, text)
		}
		return nil
	}
}

func left(url string) (all []string, err error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var alerts []struct{ Labels labels }
	if err := json.NewDecoder(resp.Body).Decode(&alerts); err != nil {
		return nil, fmt.Errorf("alerts that are left: %w", err)
	}
	for _, a := range alerts {
		all = append(all, a.Labels.String())
	}
	return all, nil
}

func differences(got, want []string) error {
	var faults []string
	for _, alert := range got {
		if !slices.Contains(want, alert) {
			faults = append(faults, "not inhibited: "+alert)
		}
	}
	for _, alert := range want {
		if !slices.Contains(got, alert) {
			faults = append(faults, "inhibited: "+alert)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s", strings.Join(faults, "\n"))
	}
	return nil
}

var pair = regexp.MustCompile(`(\w+)="([^"]*)"`)

// parse is the reverse of [labels.String].
func parse(text string) labels {
	l := labels{}
	for _, p := range pair.FindAllStringSubmatch(text, -1) {
		l[p[1]] = p[2]
	}
	return l
}

// moreUrgent are alerts of which one says all that the others do.
func moreUrgent() []cause {
	of := func(namespace string, more labels, causes, effects []string) cause {
		c := cause{namespace: namespace}
		l := maps.Clone(more)
		l["namespace"] = namespace
		for _, alert := range causes {
			c.causes = append(c.causes, named(alert, l))
		}
		for _, alert := range effects {
			c.effects = append(c.effects, named(alert, l))
		}
		return c
	}
	relay := ofRelay("relay-0", nil)
	return []cause{
		of("down", relay, nil, []string{"InstanceDown", "SpoolLeftBehind", "IntegrationSilent"}),
		of("down", labels{}, []string{"Down"}, nil),
		of("burns", labels{}, []string{"CheckInErrorBudgetBurnFast", "EventErrorBudgetBurn"}, []string{"CheckInErrorBudgetBurn", "CheckInErrorBudgetBurnSlow", "CheckInErrorBudgetBurnCreeping", "EventErrorBudgetBurnSlow", "EventErrorBudgetBurnCreeping"}),
		of("burns-fast", labels{}, []string{"EventErrorBudgetBurnFast", "CheckInErrorBudgetBurn"}, []string{"EventErrorBudgetBurn", "EventErrorBudgetBurnSlow", "EventErrorBudgetBurnCreeping", "CheckInErrorBudgetBurnSlow", "CheckInErrorBudgetBurnCreeping"}),
		of("stream", labels{"stream": "OTHER"}, []string{"StreamFull"}, []string{"StreamNearlyFull"}),
		of("certificate", relay.with(labels{"certificate": "public"}), []string{"CertificateExpiresNow", "CredentialsExpireNow"}, []string{"CertificateExpires"}),
		of("certificate", relay, nil, []string{"CredentialsExpire"}),
		of("certificate", relay.with(labels{"certificate": "nats_client"}), []string{"CertificateExpires"}, nil),
		of("lobby", labels{"integration": "one"}, []string{"CheckInsByFallback", "IntegrationUnauthorized"}, []string{"NoDecider", "WrongAPIKey", "IntegrationWithoutAPIKey"}),
		of("lobby", labels{"integration": "two"}, []string{"NoDecider", "WrongAPIKey"}, nil),
	}
}
