//go:build linux

package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"unsafe"
)

// roleVariable makes this binary confine itself and then become the relay. Its
// value is a role, and after a colon the spool's directory.
const roleVariable = "FAULTS_ROLE"

const (
	roleSmallDisk    = "small-disk"     // the spool is on a file system of 2 MiB
	roleReadOnlyDisk = "read-only-disk" // it is on one that cannot be written
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
func mayMount() bool {
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{roleVariable + "=" + roleSmallDisk + ":" + os.TempDir()}
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
	case roleReadOnlyDisk:
		err = mount(dir, dir, "", syscall.MS_BIND, "")
		err = errors.Join(err, syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
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
