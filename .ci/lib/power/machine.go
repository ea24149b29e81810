package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// machine is what loses power: a file system on a disk with a volatile cache, and the
// programs that run on it.
type machine struct {
	programs string // the folder with disk
	dir      string
	system   string // ext4 or xfs
	lying    bool

	disk    *process
	control io.WriteCloser
	reports io.Reader
	running []*process
	logs    string
	started int
}

// size is what JetStream needs for the streams' limits, and more. The image is sparse.
const size = 8 << 30

var formats = map[string][]string{
	"ext4": {"mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"},
	"xfs":  {"mkfs.xfs", "-q", "-f", "-K"},
}

func newMachine(programs, dir, logs, system string, lying bool) (*machine, error) {
	m := &machine{programs: programs, dir: dir, logs: logs, system: system, lying: lying}
	if err := errors.Join(os.MkdirAll(m.data(), 0o700), os.MkdirAll(logs, 0o700)); err != nil {
		return nil, err
	}
	return m, errors.Join(os.WriteFile(m.device(), nil, 0o600), m.format())
}

func (m *machine) image() string  { return filepath.Join(m.dir, "image") }
func (m *machine) device() string { return filepath.Join(m.dir, "device") }

// data is where its file system is mounted.
func (m *machine) data() string { return filepath.Join(m.dir, "data") }

// format gives it an empty file system.
func (m *machine) format() error {
	if err := os.WriteFile(m.image(), nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(m.image(), size); err != nil {
		return err
	}
	return run(append(formats[m.system], m.image())...)
}

// on gives it power, and mounts what its disk kept.
func (m *machine) on() error {
	if err := m.startDisk(); err != nil {
		return err
	}
	// The kernel frees the loop device at the unmount, also when this process is killed.
	if err := run("mount", "-t", m.system, "-o", "loop", m.device(), m.data()); err != nil {
		return errors.Join(err, m.off())
	}
	return nil
}

func (m *machine) startDisk() error {
	fd, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/fuse: %w", err)
	}
	fuse := os.NewFile(uintptr(fd), "/dev/fuse")
	defer fuse.Close()
	// The root of this file system is a file.
	options := fmt.Sprintf("fd=%d,rootmode=100000,user_id=0,group_id=0", fd)
	if err := syscall.Mount("disk", m.device(), "fuse", syscall.MS_NOSUID|syscall.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount FUSE: %w", err)
	}
	cmd := exec.Command(filepath.Join(m.programs, "disk"), fmt.Sprintf("-lie=%t", m.lying), m.image())
	cmd.ExtraFiles = []*os.File{fuse}
	// The last process of a mount namespace unmounts what is in it. The disk must not be
	// the last in the namespace of the file system on it: it would wait for itself.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if err := m.launchDisk(cmd); err != nil {
		return errors.Join(err, unmount(m.device()))
	}
	return nil
}

func (m *machine) launchDisk(cmd *exec.Cmd) (err error) {
	if m.control, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if m.reports, err = cmd.StdoutPipe(); err != nil {
		return err
	}
	m.disk, err = launch(m.log("disk"), cmd)
	return err
}

// launch starts a program that dies with the machine.
func (m *machine) launch(name string, cmd *exec.Cmd) (*process, error) {
	p, err := launch(m.log(name), cmd)
	if err == nil {
		m.running = append(m.running, p)
	}
	return p, err
}

// log is the file for what a program prints.
func (m *machine) log(name string) string {
	m.started++
	return filepath.Join(m.logs, fmt.Sprintf("%03d-%s.log", m.started, name))
}

// cut is the loss of power: of what was not flushed at this moment, all or a random
// part is lost. No program can write after it, since the disk answers nothing more. It
// returns how many sectors were lost.
func (m *machine) cut(loss string) (sectors int, err error) {
	if _, err := fmt.Fprintln(m.control, loss); err != nil {
		return 0, fmt.Errorf("cut the power: %w", err)
	}
	if _, err := fmt.Fscanln(m.reports, &sectors); err != nil {
		return 0, fmt.Errorf("cut the power: %w: %s", err, m.disk.tail())
	}
	return sectors, m.off()
}

// off leaves nothing running. Programs that wait for the disk die as the disk ends.
func (m *machine) off() error {
	if m.disk == nil {
		return nil
	}
	for _, p := range m.running {
		p.cmd.Process.Kill()
	}
	failures := []error{m.control.Close(), m.disk.wait()}
	for _, p := range m.running {
		failures = append(failures, p.wait())
	}
	m.disk, m.running = nil, nil
	return errors.Join(append(failures, unmount(m.data()), unmount(m.device()))...)
}

// unmount does nothing where nothing is mounted.
func unmount(path string) error {
	if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	return nil
}

// available reports why the power of a disk cannot be cut on this machine.
func available(programs, system string) error {
	dir, err := os.MkdirTemp(programs, "probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m, err := newMachine(programs, dir, filepath.Join(dir, "logs"), system, false)
	if err != nil {
		return err
	}
	if err := m.on(); err != nil {
		return err
	}
	_, err = m.cut("all")
	return err
}

func run(words ...string) error {
	cmd := exec.Command(words[0], words[1:]...)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", words[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}
