package server

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"
)

func TestMemory_LimitIsReadFromTheCgroup(t *testing.T) {
	t.Parallel()
	const none = math.MaxInt64
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"not on Linux", nil, none},
		{"version 2, in a container", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n"}, 256 << 20},
		{"version 2, without a limit", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, none},
		{"version 2, a service with a limit", map[string]string{
			"proc/self/cgroup": "0::/system.slice/relay.service\n", "sys/fs/cgroup/system.slice/relay.service/memory.max": "1000000\n",
		}, 1000000},
		{"version 2, a limit above", map[string]string{
			"proc/self/cgroup": "0::/system.slice/relay.service\n", "sys/fs/cgroup/system.slice/relay.service/memory.max": "max\n",
			"sys/fs/cgroup/system.slice/memory.max": "2000000\n",
		}, 2000000},
		{"version 2, the host's path", map[string]string{"proc/self/cgroup": "0::/kubepods/pod1/c1\n", "sys/fs/cgroup/memory.max": "3000000\n"}, 3000000},
		{"version 2, a path out of the namespace", map[string]string{"proc/self/cgroup": "0::/../../c1\n", "sys/fs/cgroup/memory.max": "3000000\n"}, 3000000},
		{"version 1", map[string]string{
			"proc/self/cgroup": "12:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/docker/1\n", "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "4000000\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 4000000},
		{"version 1, without a limit", map[string]string{"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, none},
		{"what cannot be read", map[string]string{"proc/self/cgroup": "nonsense\n0::/\n", "sys/fs/cgroup/memory.max": "a lot\n"}, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, content := range c.files {
				root[name] = &fstest.MapFile{Data: []byte(content)}
			}
			if got := containerMemory(root); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}

func TestMemory_GCLimitStaysBelowTheContainerLimit(t *testing.T) {
	t.Parallel()
	before := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(before)
	root := fstest.MapFS{
		"proc/self/cgroup":         {Data: []byte("0::/\n")},
		"sys/fs/cgroup/memory.max": {Data: []byte("1000000000\n")},
	}
	LimitMemory([]string{"GOMEMLIMIT=off"}, root)
	if got := memoryLimit(); got != 0 {
		t.Errorf("the operator's word was overruled: %d", got)
	}
	LimitMemory([]string{"GOMEMLIMIT="}, root)
	if got := memoryLimit(); got != 900000000 {
		t.Errorf("it keeps below %d", got)
	}
}
