package dashboard

// columns of Grafana's page.
const pageWidth = 24

// row is a heading and what is below it, from left to right.
type row struct {
	title  string
	panels []panel
}

// page places panels: a panel that does not fit into the line begins the next,
// below the highest of those before it.
type page struct {
	panels     []object
	x, y, high int
}

func layOut(rows []row) []object {
	var p page
	for _, r := range rows {
		p.newLine()
		if r.title != "" {
			p.heading(r.title)
		}
		for _, one := range r.panels {
			p.place(one)
		}
	}
	return p.panels
}

func (p *page) newLine() { p.x, p.y, p.high = 0, p.y+p.high, 0 }

func (p *page) heading(title string) {
	p.panels = append(p.panels, object{
		"id": len(p.panels) + 1, "type": "row", "title": title, "collapsed": false, "panels": []object{},
		"gridPos": object{"x": 0, "y": p.y, "w": pageWidth, "h": 1},
	})
	p.y++
}

func (p *page) place(one panel) {
	if p.x+one.wide > pageWidth {
		p.newLine()
	}
	at := object{"x": p.x, "y": p.y, "w": one.wide, "h": one.high}
	p.panels = append(p.panels, one.object(len(p.panels)+1, at))
	p.x += one.wide
	p.high = max(p.high, one.high)
}
