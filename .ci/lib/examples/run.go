package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// run runs a program to its end and returns what it prints.
func (r *rig) run(env []string, program string, words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if own := filepath.Join(r.programs, program); exists(own) {
		program = own
	}
	cmd := exec.CommandContext(ctx, program, words...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", filepath.Base(program), err, out)
	}
	return string(out), err
}
