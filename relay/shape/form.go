package shape

// maxForms bounds how many forms are listed of one place. It is more than a
// program makes of one field.
const maxForms = 32

// forms are the forms of some values, in the order in which they first came.
type forms struct {
	list []Form
	// more counts the values of forms beyond the bound.
	more int
}

func (f *forms) add(form Form) {
	for i := range f.list {
		if like := &f.list[i]; like.alike(form) {
			like.Count += form.Count
			like.Length = like.Length.and(form.Length)
			like.Parts = like.Parts.and(form.Parts)
			return
		}
	}
	if len(f.list) == maxForms {
		f.more += form.Count
		return
	}
	f.list = append(f.list, form)
}

func (f *forms) merge(other forms) {
	for _, form := range other.list {
		f.add(form)
	}
	f.more += other.more
}

// count is how many values there were.
func (f *forms) count() int {
	n := f.more
	for _, form := range f.list {
		n += form.Count
	}
	return n
}

// alike reports whether two forms differ in no more than counts.
func (f *Form) alike(other Form) bool {
	return f.Type == other.Type && f.Class == other.Class && f.Format == other.Format && f.Value == other.Value
}

func exactly(n int) Range { return Range{Min: n, Max: n} }

func (r Range) and(other Range) Range {
	return Range{Min: min(r.Min, other.Min), Max: max(r.Max, other.Max)}
}
