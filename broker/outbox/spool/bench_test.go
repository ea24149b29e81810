package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// syncs returns how many single 4 KB appends are synced in a second.
func syncs(b *testing.B, dir string, n int) float64 {
	f, err := os.Create(filepath.Join(dir, "plain"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	start := b.Elapsed()
	for range n {
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / (b.Elapsed() - start).Seconds()
}

func BenchmarkFsync(b *testing.B) {
	b.ReportMetric(syncs(b, b.TempDir(), b.N), "fsyncs/s")
}

// BenchmarkPut stores bodies of 1.5 KB and compares the rate with single fsyncs
// in the same directory, half of them before and half after.
func BenchmarkPut(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprint("clients=", clients), func(b *testing.B) {
			dir := b.TempDir()
			s := openWith(b, Config{Dir: dir, MaxBytes: 1 << 30, window: batchWindow})
			before := syncs(b, dir, 200)
			b.ResetTimer()
			var n atomic.Int64
			var wg sync.WaitGroup
			for client := range clients {
				wg.Go(func() {
					for n.Add(1) <= int64(b.N) {
						if err := s.Put(b.Context(), sized(fmt.Sprint(client), "id", 1500)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			rate := float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(rate, "puts/s")
			b.ReportMetric(float64(b.N)/float64(s.Stats().Commits), "puts/commit")
			b.StartTimer()
			after := syncs(b, dir, 200)
			b.StopTimer()
			b.ReportMetric(rate/((before+after)/2), "x-fsync")
		})
	}
}
