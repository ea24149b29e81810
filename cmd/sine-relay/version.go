package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// version is stamped at link time: -ldflags "-X main.version=1.2.3".
var version = ""

// versionOf returns the stamped version, or what the Go toolchain knows.
func versionOf() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "dev"
	}
	return strings.TrimPrefix(info.Main.Version, "v")
}

func printVersion(_ context.Context, in invocation) int {
	if !noArguments("version", in) {
		return exitUsage
	}
	fmt.Fprintf(in.out, "sine-relay %s %s %s/%s\n", versionOf(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return exitOK
}

// registerBuildInfo puts the version among the metrics.
func registerBuildInfo(reg prometheus.Registerer) {
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "sine_relay", Name: "build_info", Help: "Always 1; the labels tell the build.",
	}, []string{"version", "go_version"})
	info.WithLabelValues(versionOf(), runtime.Version()).Set(1)
	reg.MustRegister(info)
}
