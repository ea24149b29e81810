package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/sine-relay/sine-relay/relay"
)

// Keyring holds the API keys of all integrations as they were read at a time. It
// is read apart from everything else, so that a key that was taken away is gone
// whatever else is wrong.
//
// A key that no longer stands where it stood is gone: its line, its file, or the
// right to read its file was removed. Only where it cannot be told what stands
// there are the keys of before kept: a directory that cannot be listed, or a file
// that cannot be read because of its disk. A mount that hiccups must not close
// every lobby.
type Keyring struct {
	sources []*keySource
	// dir is the directory of keys when it was last listed, and dirName what people
	// call it.
	dir     os.FileInfo
	dirName string
	// unlisted says why the directory could not be listed.
	unlisted *Problem
	digest   Digest
}

// keySource is a file of keys, or the list in the environment.
type keySource struct {
	// where is the place for people, integration the one that the keys are of.
	where, integration string
	// inDir is set for a file of the directory.
	inDir    bool
	keys     []apiKey
	problems Problems
	warnings Problems
	// kept is set where the keys are those of before.
	kept bool
}

type apiKey struct {
	relay.Key
	digest [sha256.Size]byte
}

// ReadKeys reads the keys. What cannot be read now is taken from before, which may
// be nil.
func (s Settings) ReadKeys(before *Keyring) *Keyring {
	if before == nil {
		before = &Keyring{}
	}
	k := &Keyring{}
	sum := sha256.New()
	k.readDir(s.KeysDir, before, sum)
	file := s.secretFiles["KEYS"]
	switch {
	case file != "":
		source := &keySource{where: Prefix + "KEYS_FILE", integration: relay.DefaultIntegration}
		k.add(source, before, file, byComma, sum)
	case s.Keys != "":
		source := &keySource{where: Prefix + "KEYS", integration: relay.DefaultIntegration}
		k.sources = append(k.sources, source)
		source.parse(s.Keys.Reveal(), byComma, len(k.Of(source.integration)))
	}
	k.digest = Digest(sum.Sum(nil))
	return k
}

// readDir reads a directory of keys, if one is named: a file per integration, of
// its name, with one key a line. Names that begin with a dot are not looked at:
// Kubernetes keeps the files of a mounted secret there and links to them.
func (k *Keyring) readDir(dir string, before *Keyring, sum io.Writer) {
	if dir == "" {
		return
	}
	k.dirName = filepath.Base(dir)
	listed, files, err := list(dir)
	if err == nil && len(files) == 0 && before.dir != nil && !os.SameFile(listed, before.dir) && before.fromDir() {
		// What is left when a volume is unmounted is the directory below it.
		err = errors.New("the directory was replaced by an empty one, as after an unmount; to revoke keys, remove their files")
	}
	if err != nil {
		k.unlisted = &Problem{Where: Prefix + "KEYS_DIR", What: fmt.Sprintf("cannot read the directory: %v", withoutPath(err))}
		fmt.Fprintf(sum, "%s\n", k.unlisted)
		k.dir = before.dir
		for _, s := range before.sources {
			if s.inDir {
				k.sources = append(k.sources, s)
			}
		}
		return
	}
	k.dir = listed
	for _, name := range files {
		source := &keySource{where: filepath.Join(k.dirName, name), integration: name, inDir: true}
		k.add(source, before, filepath.Join(dir, name), byLine, sum)
	}
}

// list returns the names of the files of a directory that may hold keys.
func list(dir string) (os.FileInfo, []string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		at, err := os.Stat(filepath.Join(dir, e.Name())) // through the links of a mounted secret
		if err == nil && at.IsDir() {
			continue
		}
		names = append(names, e.Name())
	}
	return info, names, nil
}

// add reads a file of keys.
func (k *Keyring) add(source *keySource, before *Keyring, path string, split func(string) []string, sum io.Writer) {
	content, err := readKeyFile(path)
	fmt.Fprintf(sum, "%s %d %v\n", path, len(content), err)
	sum.Write(content)
	if errors.Is(err, fs.ErrNotExist) && source.inDir {
		return // it went away since the directory was listed
	}
	k.sources = append(k.sources, source)
	switch {
	case err == nil:
		source.parse(string(content), split, len(k.Of(source.integration)))
		if worldReadable(path) {
			source.warnings.add(source.where, "contains API keys and is readable by every user of this machine: chmod o-r it")
		}
	case keysRemoved(path, err):
		source.problems.add(source.where, "cannot be read: %v; no key in it is accepted", withoutPath(err))
	default:
		source.keep(before, err)
	}
}

// keysRemoved tells whether an error means that there are no keys, in contrast to one
// after which nothing is known. Who takes away the right to read a file takes its
// keys away, and links that lead in a circle lead to none.
func keysRemoved(path string, err error) bool {
	if errors.Is(err, fs.ErrNotExist) {
		_, err := os.Stat(filepath.Dir(path))
		return err == nil // else its whole volume is away
	}
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, errNoKeyFile) || errors.Is(err, syscall.ELOOP)
}

// keep takes the keys of before, since it cannot be told what they are now.
func (s *keySource) keep(before *Keyring, err error) {
	s.kept = true
	what := "no key in it is accepted"
	for _, old := range before.sources {
		if old.where == s.where {
			s.keys, what = old.keys, "its previous keys remain accepted until it can be read"
		}
	}
	s.problems.add(s.where, "cannot be read: %v; %s", withoutPath(err), what)
}

func (k *Keyring) fromDir() bool {
	return slices.ContainsFunc(k.sources, func(s *keySource) bool { return s.inDir })
}

// Of returns the keys of an integration.
func (k *Keyring) Of(integration string) (keys []relay.Key) {
	for _, s := range k.sources {
		if s.integration != integration {
			continue
		}
		for _, key := range s.keys {
			keys = append(keys, key.Key)
		}
	}
	return keys
}

// Issue returns the integrations with their keys.
func (k *Keyring) Issue(integrations []relay.Integration) []relay.Integration {
	all := slices.Clone(integrations)
	for i := range all {
		all[i].Keys = nil
		if !all[i].Invalid {
			all[i].Keys = k.Of(all[i].Name)
		}
	}
	return all
}

// Digest tells whether what was read has changed.
func (k *Keyring) Digest() Digest { return k.digest }

// Unreadable returns why it is not known what keys there are: those of before are
// in force, and one that was taken away may be among them.
func (k *Keyring) Unreadable() (all Problems) {
	if k.unlisted != nil {
		all.add(k.unlisted.Where, "%s; the previous keys remain accepted until it can be read", k.unlisted.What)
	}
	for _, s := range k.sources {
		if s.kept {
			all = append(all, s.problems...)
		}
	}
	return all
}

// Check returns what is wrong with the keys of these integrations, and what is
// probably not meant. The integrations are all that there are, unless the names of
// some are not known: then nothing is said of files that belong to nobody.
func (k *Keyring) Check(integrations []string, allNamed bool) (problems, warnings Problems) {
	if k.unlisted != nil {
		problems = k.Unreadable()[:1]
	}
	owners := map[[sha256.Size]byte]string{}
	for _, s := range k.sources {
		if !slices.Contains(integrations, s.integration) {
			if allNamed {
				warnings.add(s.where, "no integration has the name of this file%s", DidYouMean(s.integration, integrations))
			}
			continue
		}
		problems, warnings = append(problems, s.problems...), append(warnings, s.warnings...)
		s.shared(owners, &warnings)
	}
	for _, name := range integrations {
		if len(k.Of(name)) == 0 {
			problems = append(problems, k.noKey(name))
		}
	}
	return problems, warnings
}

// shared warns of keys that there are more than once.
func (s *keySource) shared(owners map[[sha256.Size]byte]string, warnings *Problems) {
	for _, key := range s.keys {
		switch owner, known := owners[key.digest]; {
		case known && owner != s.integration:
			warnings.about(s.where, s.of(key.Name()), "the integration %s has the same key", owner)
		case known:
			warnings.about(s.where, s.of(key.Name()), "is a duplicate")
		default:
			owners[key.digest] = s.integration
		}
	}
}

// of is what a problem of a key concerns.
func (s *keySource) of(key string) string { return integrationOf(s.integration) + ", key " + key }

func (k *Keyring) noKey(integration string) Problem {
	where := filepath.Join(k.dirName, integration)
	for _, s := range k.sources {
		if s.integration == integration && !s.inDir {
			where = s.where
		}
	}
	return Problem{where, integrationOf(integration), "no API key: every request of this integration gets 401; add one"}
}
