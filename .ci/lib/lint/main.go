// Command lint looks, when go vet runs it, for what neither that nor staticcheck does.
package main

import (
	"log"

	"github.com/charithe/durationcheck"
	"github.com/gordonklaus/ineffassign/pkg/ineffassign"
	"github.com/polyfloyd/go-errorlint/errorlint"
	"github.com/sanposhiho/wastedassign/v2"
	"golang.org/x/tools/go/analysis/unitchecker"
)

func main() {
	wrapped := errorlint.NewAnalyzer()
	for option, value := range map[string]string{
		"errorf":     "true",
		"comparison": "false", // == asks whether it is the very same error
	} {
		if err := wrapped.Flags.Set(option, value); err != nil {
			log.Fatal(err)
		}
	}
	unitchecker.Main(durationcheck.Analyzer, wrapped, ineffassign.Analyzer, wastedassign.Analyzer)
}
