package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit/contract"
)

func TestContract_EverythingInItsIndexIsServed(t *testing.T) {
	t.Parallel()
	handler := newContract(contract.Names{SubjectPrefix: "acme"})
	get := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	var index contractIndex
	if err := json.Unmarshal(get(http.MethodGet, "/contract/").Body.Bytes(), &index); err != nil || len(index.Schemas) == 0 || len(index.Examples) == 0 {
		t.Fatalf("the index: %v, %+v", err, index)
	}
	for _, e := range append(append([]contractEntry{{Path: index.AsyncAPI}}, index.Schemas...), index.Examples...) {
		w := get(http.MethodGet, e.Path)
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %d %s", e.Path, w.Code, w.Header().Get("Content-Type"))
		}
		if e.ID != "" && !strings.Contains(w.Body.String(), `"$id": "`+e.ID+`"`) {
			t.Errorf("%s does not have the $id %s", e.Path, e.ID)
		}
	}
	if text := get(http.MethodGet, index.AsyncAPI).Body.String(); !strings.Contains(text, `"acme.v1.event.{site}.{kind}"`) {
		t.Error("the document does not have the subjects of this installation")
	}
	for path, want := range map[string]int{"/contract/v1/": http.StatusNotFound, "/contract/v1/examples/": http.StatusNotFound, "/contract/v1/none.schema.json": http.StatusNotFound} {
		if w := get(http.MethodGet, path); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	if w := get(http.MethodPost, "/contract/"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}
