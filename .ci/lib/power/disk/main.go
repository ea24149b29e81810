// Command disk is a disk with a volatile cache, whose power can be cut: the file of a
// FUSE file system, for a loop device to stand on.
//
//	disk [-lie] IMAGE 3<>/dev/fuse
//
// Whoever starts it has mounted the file system. A line "all" or "random" on its
// standard input is the cut: at that moment the sectors that were not flushed are lost,
// all or a random part of them, and from then on nothing is answered. It prints how many
// were lost. When the standard input ends, it ends, and every pending request fails.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

// flushTime is about that of a flash drive.
const flushTime = 2 * time.Millisecond

// fuse is the file descriptor of the connection to the kernel.
const fuse = 3

// servers answer at the same time, so that a read does not wait for a flush.
const servers = 4

func main() {
	lie := flag.Bool("lie", false, "report flushes as done, and do none: a control that must lose something")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *lie); err != nil {
		fmt.Fprintln(os.Stderr, "disk:", err)
		os.Exit(1)
	}
}

func run(image string, lie bool) error {
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	d := newDisk(f, info.Size())
	d.flushTime, d.lies = flushTime, lie
	s := server{d, fuse}
	ended := make(chan error, servers+1)
	for range servers {
		go func() { ended <- s.serve() }()
	}
	go func() { ended <- control(d) }()
	return <-ended
}

// control returns when the standard input ends.
func control(d *disk) error {
	lines := bufio.NewScanner(os.Stdin)
	if lines.Scan() {
		what := loss(lines.Text())
		if what != loseAll && what != loseRandom {
			return errors.New("a cut loses all or random: " + lines.Text())
		}
		sectors, err := d.cut(what)
		if err != nil {
			return err
		}
		fmt.Println(sectors)
	}
	for lines.Scan() {
		// After the cut, only the end of the input matters.
	}
	return lines.Err()
}
