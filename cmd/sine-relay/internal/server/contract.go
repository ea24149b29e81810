package server

import (
	"encoding/json"
	"net/http"
	"sync"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/visit/contract"
)

// ContractNames are the names in the contract that the settings choose.
func ContractNames(s config.Settings) contract.Names {
	return contract.Names{
		SubjectPrefix: s.SubjectPrefix, EventStream: s.EventStream, DecisionStream: s.DecisionStream,
		QuarantineStream: s.QuarantineStream, OrderBucket: s.OrderBucket,
	}
}

// contractPath is where the admin listener has the contract.
const contractPath = "/contract/"

// contractIndex says what there is.
type contractIndex struct {
	AsyncAPI string          `json:"asyncapi"`
	Schemas  []contractEntry `json:"schemas"`
	Examples []contractEntry `json:"examples"`
}

type contractEntry struct {
	Name string `json:"name"`
	ID   string `json:"id,omitempty"`
	Path string `json:"path"`
}

// newContract serves the contract with the names of this installation: an index, the
// AsyncAPI document, and the files of v1.
//
// It is made when somebody asks for it: a relay starts without.
func newContract(n contract.Names) http.Handler {
	routes := sync.OnceValue(func() http.Handler { return contractRoutes(n) })
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { routes().ServeHTTP(w, req) })
}

func contractRoutes(n contract.Names) http.Handler {
	index := contractIndex{AsyncAPI: contractPath + "asyncapi.json"}
	for _, s := range contract.Schemas() {
		index.Schemas = append(index.Schemas, contractEntry{s.Name, s.ID, contractPath + "v1/" + s.Name + ".schema.json"})
	}
	for _, m := range contract.Messages() {
		index.Examples = append(index.Examples, contractEntry{Name: m, Path: contractPath + "v1/examples/" + m + ".json"})
	}
	list, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		panic(err) // texts can be encoded
	}
	routes := http.NewServeMux()
	routes.Handle("GET "+contractPath+"{$}", document(append(list, '\n')))
	routes.Handle("GET "+index.AsyncAPI, document(contract.AsyncAPI(n)))
	for _, s := range contract.Schemas() {
		routes.Handle("GET "+contractPath+"v1/"+s.Name+".schema.json", document(s.Text))
	}
	files := http.StripPrefix(contractPath+"v1/", http.FileServerFS(contract.Files()))
	for _, e := range index.Examples {
		routes.Handle("GET "+e.Path, files)
	}
	return routes
}

// document is a file in JSON.
func document(text []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(text)
	})
}
