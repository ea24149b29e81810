// Objects looks at what a chart renders, beyond what schemas of single objects can
// say: whether names are there once, selectors find the pods that are meant and no
// others, routes lead to the public port, mounts have volumes, and pods keep to
// the PodSecurity level restricted.
//
//	objects sound FILE…   prints what is wrong in each
//	objects same A B      prints what A and B do not both hold
//	objects carry FILE alerts.yaml dashboard.json
//	                      prints which of the two does not arrive as it is
//	objects unpack FILE DIR
//	                      prints the relay's environment, with its files in DIR
//
// It knows the kinds that this project's chart renders and passes over others.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v4"
)

func main() {
	lines, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "objects:", err)
		os.Exit(2)
	}
	for _, line := range lines {
		fmt.Println(line)
	}
	if len(lines) > 0 && os.Args[1] != "unpack" {
		os.Exit(1)
	}
}

func run(args []string) ([]string, error) {
	switch {
	case len(args) > 1 && args[0] == "sound":
		return soundFiles(args[1:])
	case len(args) == 3 && args[0] == "same":
		a, errA := read(args[1])
		b, errB := read(args[2])
		return same(a, b), errors.Join(errA, errB)
	case len(args) == 4 && args[0] == "carry":
		return carryFiles(args[1], args[2], args[3])
	case len(args) == 3 && args[0] == "unpack":
		objects, err := read(args[1])
		if err != nil {
			return nil, err
		}
		return unpack(objects, args[2])
	}
	return nil, errors.New("usage: objects sound FILE… | same A B | carry FILE alerts.yaml dashboard.json | unpack FILE DIR")
}

func soundFiles(files []string) (faults []string, err error) {
	for _, file := range files {
		objects, err := read(file)
		if err != nil {
			return nil, err
		}
		for _, fault := range sound(objects) {
			faults = append(faults, file+": "+fault)
		}
	}
	return faults, nil
}

func read(file string) ([]object, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	objects, err := decode(f)
	if err == nil && len(objects) == 0 {
		err = errors.New("holds no object")
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", file, err)
	}
	return objects, err
}

func decode(r io.Reader) (all []object, err error) {
	d := yaml.NewDecoder(r)
	for {
		var content map[string]any
		switch err := d.Decode(&content); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		case content != nil:
			o, err := newObject(content)
			if err != nil {
				return nil, err
			}
			all = append(all, o)
		}
	}
}
