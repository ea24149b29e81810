package spool

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const crashClients = 8

// putUntilKilled puts from several clients and prints each id once its Put has
// returned, and now and then removes a head, which it announces before.
func putUntilKilled(dir string) error {
	s, err := Open(Config{Dir: dir, MaxBytes: 1 << 30, window: time.Nanosecond})
	if err != nil {
		return err
	}
	if d := s.Damaged(); d != nil {
		return fmt.Errorf("damaged by a kill: %w", d.Cause)
	}
	life := os.Getenv("SPOOL_LIFE")
	var wg sync.WaitGroup
	for client := range crashClients {
		wg.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%s-%d-%d", life, client, n)
				e := sized(fmt.Sprint("order-", client), id, rand.IntN(6000))
				if err := s.Put(context.Background(), e); err != nil {
					panic(err)
				}
				fmt.Println("put", id)
				if n%5 == 4 {
					items, err := s.NextOfEach(1)
					if err != nil {
						panic(err)
					}
					if len(items) == 0 {
						continue // another client was faster
					}
					fmt.Println("removing", items[0].Message.ID)
					if err := s.Remove(context.Background(), items[0].Sequence); err != nil {
						panic(err)
					}
				}
			}
		})
	}
	wg.Wait()
	return nil
}

func TestCrash_NothingAcknowledgedIsLostByAKill(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			random := rand.New(rand.NewPCG(seed, 1))
			acknowledged, removing := map[string]bool{}, map[string]bool{}
			for life := range 4 {
				runAndKill(t, dir, fmt.Sprint(life), 1+random.IntN(400), acknowledged, removing)
				auditCrash(t, dir, acknowledged, removing)
			}
		})
	}
}

// runAndKill kills the child when it has printed so many lines.
func runAndKill(t *testing.T, dir, life string, lines int, acknowledged, removing map[string]bool) {
	t.Helper()
	c := command(t, "put", dir, "SPOOL_LIFE="+life)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	for n := 1; ; n++ {
		line, err := r.ReadString('\n')
		if err == io.EOF {
			break // a line without its end was not printed
		}
		if n == lines {
			c.Process.Kill()
		}
		verb, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		if verb == "put" {
			acknowledged[id] = true
		} else {
			removing[id] = true
		}
	}
	if err := c.Wait(); err == nil || c.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child was not killed: %v", err)
	}
}

func auditCrash(t *testing.T, dir string, acknowledged, removing map[string]bool) {
	t.Helper()
	s := openAt(t, dir)
	defer s.Close()
	if d := s.Damaged(); d != nil {
		t.Fatalf("damaged by a kill: %v", d.Cause)
	}
	there := map[string]bool{}
	last := map[string][]int{}
	for _, i := range all(t, s) {
		there[i.Message.ID] = true
		var life, client, n int
		fmt.Sscanf(i.Message.ID, "%d-%d-%d", &life, &client, &n)
		if now := []int{life, n}; slices.Compare(now, last[i.Order]) <= 0 {
			t.Errorf("%s comes after %v", i.Message.ID, last[i.Order])
		} else {
			last[i.Order] = now
		}
	}
	for id := range acknowledged {
		if !there[id] && !removing[id] {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
}

// holdOpen holds the spool until its input ends.
func holdOpen(dir string) error {
	s, err := Open(Config{Dir: dir, MaxBytes: 1 << 20})
	if err != nil {
		return err
	}
	fmt.Println("open")
	io.Copy(io.Discard, os.Stdin)
	return s.Close()
}

func TestLock_ASecondOpenerIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	refused := func(where string) {
		t.Helper()
		if _, err := Open(Config{Dir: dir, MaxBytes: 1}); err == nil || !strings.Contains(err.Error(), ErrInUse.Error()) {
			t.Errorf("%s: %v", where, err)
		}
	}
	c := command(t, "hold", dir)
	in, _ := c.StdinPipe()
	out, _ := c.StdoutPipe()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	refused("open in another process")
	in.Close()
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, dir)
	refused("open in the same process")
	closed(t, s)
	openAt(t, dir)
}
