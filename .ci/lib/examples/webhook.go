package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// call sends a body as Sine does, and returns the response.
func (r *rig) call(body string) (string, error) {
	req, err := http.NewRequest(http.MethodPost, r.webhook, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("x-sine-auth", key)
	req.Header.Set("content-type", "application/json")
	client := http.Client{Timeout: 30 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the relay answered %d: %s", resp.StatusCode, text)
	}
	return string(text), err
}

// checkIn is a visitor who asks to come in.
func (r *rig) checkIn(lastName string) (string, error) {
	return r.call(fmt.Sprintf(`{"event":"signin_before","date":%q,"data":{"firstName":"Ada","lastName":%q}}`, now(), lastName))
}

func now() string { return time.Now().UTC().Format(time.RFC3339) }

func readJSON(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	return nil
}
