module github.com/sine-relay/sine-relay/ci/lint

go 1.26.0

require (
	github.com/charithe/durationcheck v0.0.11
	github.com/gordonklaus/ineffassign v0.2.0
	github.com/polyfloyd/go-errorlint v1.8.0
	github.com/sanposhiho/wastedassign/v2 v2.1.0
	golang.org/x/tools v0.52.0
)

require golang.org/x/sync v0.24.0 // indirect
