package learn

import (
	"fmt"
	"slices"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// causeWords are in the words for why a pass ended.
var causeWords = wordsOf(map[visit.Cause]string{
	visit.CauseExpired:    "expired expire expiry auto automatic automatically timeout elapsed overstay overstayed system scheduled abgelaufen ablauf caducado expiré",
	visit.CauseLeftArea:   "geo geofence geofenced left area zone fence location gps gebiet",
	visit.CauseCheckedOut: "checked checkedout signed signedout checkout signout desk kiosk reception ipad host manual manually self user visitor empfang",
})

// causeByName says which cause a word seems to be, by words that are known alone.
func causeByName(word string) visit.Cause {
	found := visit.Cause("")
	for _, token := range tokens(word) {
		switch means := causeWords[token]; {
		case means == "" && stageWords[token] == 0 && vague[token] != fields.Cause && token != "by" && token != "the" && token != "at":
			return ""
		case means == "":
		case found == "" || found == visit.CauseCheckedOut:
			found = means
		}
	}
	return found
}

// causes finds why passes end.
func (l *learner) causes() {
	out := func(s *sample) bool { return s.kind == visit.KindCheckedOut }
	if !slices.ContainsFunc(l.samples, out) {
		return
	}
	if l.having(fields.Cause) == 0 {
		l.causePlace(out)
	}
	var seen []string
	for _, s := range l.samples {
		word := s.value(fields.Cause)
		if !out(s) || s.isForm || word == "" || s.now.Cause != visit.CauseUnknown || slices.Contains(seen, fields.Spelling(word)) {
			continue
		}
		seen = append(seen, fields.Spelling(word))
		alias := Alias[visit.Cause]{Word: word, Means: causeByName(word), Basis: "guess by its words", Bodies: 1}
		if alias.Means == "" && !l.o.Values {
			l.ask("A check-out says why it ended in words that are not known, and are not shown: repeat with --values, and enter them in causeAliases.")
			continue
		}
		if alias.Means == "" {
			alias.Basis = "Its words do not say it"
			l.ask(fmt.Sprintf("Which cause is %q: checked_out, expired or left_area?", word))
		}
		l.report.Causes = append(l.report.Causes, alias)
	}
}

func (l *learner) causePlace(out func(*sample) bool) {
	for _, p := range l.places {
		score, words := 0, 0
		for _, g := range guessesByName(p.words) {
			if g.field == fields.Cause {
				score = max(score, g.score)
			}
		}
		for i, s := range l.samples {
			if v := p.values[i]; v.kind == '"' && out(s) && causeByName(v.text) != "" {
				words++
			}
		}
		if score >= byVague && words > 0 && !l.isTaken(p.at) && l.propose(fields.Cause, p.at) {
			l.proposed(fields.Cause, p.at, "guess by name and by the words of check-outs")
			return
		}
	}
}
