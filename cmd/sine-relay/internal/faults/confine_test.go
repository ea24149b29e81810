//go:build linux && faults

package faults

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// roleVariable makes this binary confine itself and then become the relay. Its
// value is a role, and after a colon the spool's directory.
const roleVariable = "FAULTS_ROLE"

const (
	roleSmallDisk    = "small-disk"     // the spool is on a file system of 2 MiB
	roleLargerDisk   = "larger-disk"    // it is on one of 16 MiB, which a load fills in half a minute
	roleSmallStore   = "small-store"    // the store of the NATS inside is on one of 64 MiB
	roleReadOnlyDisk = "read-only-disk" // it is on one that cannot be written
	roleOwnDisk      = "own-disk"       // it is on an ext4 that can be made to fail; see diskFails
	roleBoundedFiles = "bounded-files"  // a limit on the size of files makes writes fail; see limitFiles
)

// confined is the command of a relay in a role.
func confined(role, dir, program string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append([]string{program}, args...)...)
	cmd.Env = append(cmd.Env, roleVariable+"="+role+":"+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if role != roleBoundedFiles {
		inNamespace(cmd)
	}
	return cmd
}

// inNamespace gives a command mounts of its own.
func inNamespace(cmd *exec.Cmd) {
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
}

// mayMount reports whether a command may have mounts of its own here: many
// containers forbid it.
func mayMount() bool { return mayBe(roleSmallDisk, os.TempDir()) }

// mayBe reports whether a command may be in a role.
func mayBe(role, dir string) bool {
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{roleVariable + "=" + role + ":" + dir, "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	inNamespace(cmd)
	return cmd.Run() == nil
}

// confine does what the role says, and becomes the program of the arguments. It
// returns only on an error, or where there is no program.
func confine(role string) error {
	role, dir, _ := strings.Cut(role, ":")
	var err error
	switch role {
	case roleSmallDisk:
		err = mount("tmpfs", dir, "tmpfs", 0, "size=2m")
	case roleLargerDisk:
		err = mount("tmpfs", dir, "tmpfs", 0, "size=16m")
	case roleSmallStore:
		err = mount("tmpfs", dir, "tmpfs", 0, "size=64m")
	case roleReadOnlyDisk:
		err = mount(dir, dir, "", syscall.MS_BIND, "")
		err = errors.Join(err, syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	case roleOwnDisk:
		err = mountImage(dir)
	case roleBoundedFiles:
		err = blockFileSizeSignal()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", role, err)
	}
	if len(os.Args) < 2 {
		os.Exit(0)
	}
	return syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
}

// mount is seen by this process and what it becomes only.
func mount(source, dir, kind string, flags uintptr, options string) error {
	err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	return errors.Join(err, syscall.Mount(source, dir, kind, flags, options))
}

// image is the file in which the disk of a directory is.
func image(dir string) string { return dir + ".ext4" }

// mountImage mounts the ext4 of a directory, which it makes where there is none.
func mountImage(dir string) error {
	if _, err := os.Stat(image(dir)); errors.Is(err, fs.ErrNotExist) {
		if out, err := exec.Command("mkfs.ext4", "-q", "-F", image(dir), "64M").CombinedOutput(); err != nil {
			return fmt.Errorf("make a file system: %w: %s", err, out)
		}
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	if out, err := exec.Command("mount", "-o", "loop,errors=remount-ro", image(dir), dir).CombinedOutput(); err != nil {
		return fmt.Errorf("mount: %w: %s", err, out)
	}
	return nil
}

// diskFails has everything on the disk of a process fail from now on: with an error
// of input and output, and nothing of what was not synced is kept.
func diskFails(pid int, dir string) error {
	const shutdown, withoutFlush = 0x8004587d, 2
	at, err := os.Open(filepath.Join(fmt.Sprintf("/proc/%d/root", pid), dir))
	if err != nil {
		return err
	}
	defer at.Close()
	how := uint32(withoutFlush)
	if _, _, fault := syscall.Syscall(syscall.SYS_IOCTL, at.Fd(), shutdown, uintptr(unsafe.Pointer(&how))); fault != 0 {
		return fmt.Errorf("have %s fail: %w", dir, fault)
	}
	return nil
}

// mountAnew brings the disk of a process back, with what was synced to it, as
// another device: one that has failed does so for ever.
func mountAnew(pid int, dir string) error {
	kept, err := os.ReadFile(image(dir))
	if err != nil {
		return err
	}
	again := fmt.Sprint(image(dir), time.Now().UnixNano())
	if err := os.WriteFile(again, kept, 0o600); err != nil {
		return err
	}
	enter := func(words ...string) error {
		out, err := exec.Command("nsenter", append([]string{"--mount", "--target", fmt.Sprint(pid)}, words...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%v: %w: %s", words, err, out)
		}
		return nil
	}
	return errors.Join(enter("umount", "--lazy", dir), enter("mount", "-o", "loop", again, dir), os.Rename(again, image(dir)))
}

// blockFileSizeSignal has a write beyond the limit fail, as on a full disk. The
// signal that comes with it would end a Go program; blocked, it stays so in the
// program that this one becomes.
func blockFileSizeSignal() error {
	runtime.LockOSThread() // the mask is the thread's
	const block = 0        // SIG_BLOCK
	set := uint64(1) << (syscall.SIGXFSZ - 1)
	if _, _, fault := syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, block, uintptr(unsafe.Pointer(&set)), 0, 8, 0, 0); fault != 0 {
		return fault
	}
	return nil
}

// limitFiles bounds the size of the files that a running process writes. The
// process must have the role roleBoundedFiles, or it ends.
func limitFiles(pid int, bytes uint64) error {
	var limit syscall.Rlimit
	if err := prlimit(pid, nil, &limit); err != nil {
		return err
	}
	limit.Cur = min(bytes, limit.Max)
	return prlimit(pid, &limit, nil)
}

func prlimit(pid int, set, get *syscall.Rlimit) error {
	_, _, fault := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE,
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(get)), 0, 0)
	if fault != 0 {
		return fmt.Errorf("limit the files of process %d: %w", pid, fault)
	}
	return nil
}
