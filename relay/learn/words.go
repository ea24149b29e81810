package learn

import (
	"strings"

	"github.com/sine-relay/sine-relay/relay/fields"
)

// subject is what an object in a body is about.
type subject int

const (
	ofNothing subject = iota
	ofPerson
	// ofSomebody is of the visitor unless something around it says whose it is.
	ofSomebody
	ofHost
	ofVisit
	ofCompany
	// ofElsewhere are the site, the customer, whoever else is there: what is said of them
	// is not said of the visitor.
	ofElsewhere
)

// Words of a few languages, spelled as keys are compared. They propose; a person
// decides.
var subjectWords = wordsOf(map[subject]string{
	ofPerson: "visitor visitors guest guests attendee invitee besucher gast gaeste gäste besucherin " +
		"visitante invitado visiteur invite invité ospite visitatore bezoeker besökare gæst vierailija",
	ofSomebody: "person persons people contact who profile",
	ofHost: "host hosts hosting gastgeber gastgeberin anfitrion anfitrión hote hôte ospitante gastheer employee visiting meetingwith " +
		"ansprechpartner contactperson värd vært isäntä escort",
	ofVisit: "visit visits pass passes signin checkin entry booking besuch besuche visita visite bezoek besök besøg vierailu record registration signout checkout",
	ofCompany: "company organisation organization org employer firma firm unternehmen empresa societe société entreprise azienda bedrijf yritys " +
		"business arbeitgeber werkgever",
	ofElsewhere: "site sites location building premises tenant customer account client zone area device kiosk ipad terminal app standort " +
		"gebäude sede lieu locatie user operator receptionist driver meta source webhook subscription vehicle",
})

// terms are what a field is called. A vague one is called so elsewhere, too, and counts
// less.
var (
	terms = wordsOf(map[fields.Field]string{
		fields.FirstName:   "firstname givenname forename fname vorname nombre prenom prénom voornaam förnamn fornavn etunimi imie imię primeironome",
		fields.LastName:    "lastname familyname surname lname nachname familienname apellido apellidos nomdefamille cognome sobrenome achternaam efternamn efternavn etternavn sukunimi nazwisko",
		fields.PersonName:  "fullname displayname visitorname guestname besuchername personname nombrecompleto nomcomplet nomecompleto volledigenaam completename",
		fields.Email:       "email emailaddress emailaddr correoelectronico correoelectrónico courriel epost mailadresse emailadresse",
		fields.Mobile:      "mobile mobilenumber mobilephone phone phonenumber telephone telephonenumber cellphone cellnumber telefon telefonnummer handy mobiltelefon teléfono telefono movil móvil téléphone msisdn",
		fields.PhotoURL:    "photo photourl photolink picture pictureurl imageurl avatar avatarurl foto portrait badgephoto",
		fields.Company:     "company companyname visitorcompany organisation organization organisationname organizationname orgname employer employername firma firmenname unternehmen empresa societe société entreprise azienda bedrijf bedrijfsnaam yritys arbeitgeber werkgever businessname företag",
		fields.VisitorType: "visitortype guesttype passtype visittype persontype besuchertyp besucherart tipodevisitante tipovisitante typevisiteur visitorcategory",
		fields.HostGroup:   "hostgroup hostgroupname hostdepartment",
		fields.HostName:    "hostname hostfullname gastgebername",
		fields.Visit:       "visitid visituuid visitref visitreference visitnumber visitno passid passuuid signinid checkinid visitkey besuchsid besuchid besuchsnummer besuchnummer visitaid idvisita visiteid idvisite bezoekid",
		fields.PersonID:    "visitorid guestid personid attendeeid besucherid visitanteid idvisitante visiteurid profileid contactid",
		fields.Event:       "event eventtype eventname ereignis evento evenement événement eventkind",
		fields.Date:        "date timestamp eventdate eventtime occurredat datetime zeitpunkt datum fecha horodatage tidspunkt tidpunkt happenedat",
		fields.Cause:       "checkoutreason signoutreason endreason exitreason cause abmeldegrund checkoutcause checkouttype signouttype",
		fields.ExternalID:  "externalid externalreference",
		fields.Answers:     "answers responses formresponses formanswers questions questionnaire customfields fragen antworten respuestas preguntas réponses domande answeredquestions",
	})
	vague = wordsOf(map[fields.Field]string{
		fields.FirstName:   "first given",
		fields.LastName:    "last family nom",
		fields.PersonName:  "name nome naam",
		fields.Email:       "mail correo",
		fields.Mobile:      "tel cell portable phoneno",
		fields.PhotoURL:    "image selfie thumbnail",
		fields.Company:     "org firm business representing from",
		fields.VisitorType: "category kategorie categoria catégorie",
		fields.HostGroup:   "group department dept team abteilung departamento département service reparto afdeling groupname",
		fields.Event:       "type action trigger topic direction kind eventcode messagetype notificationtype subject detailtype aktion",
		fields.Date:        "time at when sentat createdat updatedat zeit hora heure ora tijd day tag día jour clock uhrzeit",
		fields.Cause:       "status state reason why grund motivo motif method outcome how",
		fields.Answers:     "fields attributes items forms form data extra custom values pairs",
	})
	// idWords are what an id is called where the object around it says whose it is.
	idWords = wordsOf(map[bool]string{true: "id uuid guid number no nr nummer num numero número ref reference key code kennung identifier identificador identifiant"})
	// valueWords are keys of what has its name beside it or around it.
	valueWords = wordsOf(map[bool]string{true: "value val content text answer response antwort wert valor valeur reply"})
	// captionWords are keys of the name of a value beside it.
	captionWords = wordsOf(map[bool]string{true: "label name key field caption title question frage pregunta attribute code id"})
	// roleWords are keys of what an object is.
	roleWords = wordsOf(map[bool]string{true: "type role kind rolle rol"})
)

// wordsOf has each word once: one that is in two lists would mean now the one, now the
// other.
func wordsOf[K comparable](lists map[K]string) map[string]K {
	all := map[string]K{}
	for k, list := range lists {
		for word := range strings.FieldsSeq(list) {
			word = fields.Spelling(word)
			if other, twice := all[word]; twice && other != k {
				panic("learn: the word " + word + " is in two lists")
			}
			all[word] = k
		}
	}
	return all
}

// guess is a field that a value may be.
type guess struct {
	field fields.Field
	score int
}

// Scores of a guess by name.
const (
	byChance = 1 // needs something else that supports it
	byVague  = 2
	byTerm   = 3
	byBoth   = 4 // the name, and what it is said of
)

// guessesByName says what a value may be, by the words on the way to it, the outermost
// first.
func guessesByName(words []string) []guess {
	if len(words) == 0 {
		return nil
	}
	last, about := words[len(words)-1], subjectOf(words[:len(words)-1])
	if rest, of := withoutSubject(last); of != ofNothing && terms[last] == "" {
		last, about = rest, of
	}
	switch about {
	case ofElsewhere:
		return elsewhere(last)
	case ofHost:
		return ofTheHost(last)
	case ofCompany:
		if terms[last] == fields.Company || vague[last] == fields.PersonName || last == "legalname" || last == "title" {
			return []guess{{fields.Company, byTerm}}
		}
		return nil
	}
	return ofThePass(last, about)
}

// elsewhere: of what is not said of the visit, the event and its date alone are of use.
func elsewhere(last string) []guess {
	for _, of := range []map[string]fields.Field{terms, vague} {
		if f := of[last]; f == fields.Event || f == fields.Date {
			return []guess{{f, byVague}}
		}
	}
	return nil
}

var hostFields = map[fields.Field]fields.Field{
	fields.FirstName: fields.HostFirstName, fields.LastName: fields.HostLastName, fields.PersonName: fields.HostName,
	fields.HostGroup: fields.HostGroup, fields.HostName: fields.HostName,
}

func ofTheHost(last string) []guess {
	for _, of := range []map[string]fields.Field{terms, vague} {
		if f := hostFields[of[last]]; f != "" {
			return []guess{{f, byTerm}}
		}
	}
	return nil
}

func ofThePass(last string, about subject) (all []guess) {
	if f, ok := terms[last]; ok {
		score := byTerm
		if about == ofPerson && isOfPerson(f) {
			score = byBoth
		}
		all = append(all, guess{f, score})
	} else if f, ok := vague[last]; ok {
		all = append(all, vaguely(last, f, about)...)
	}
	if idWords[last] {
		switch about {
		case ofPerson:
			all = append(all, guess{fields.PersonID, byTerm})
		case ofVisit:
			all = append(all, guess{fields.Visit, byTerm})
		default:
			all = append(all, guess{fields.Visit, byChance})
		}
	}
	switch subjectWords[last] { // a text where others have an object
	case ofPerson, ofSomebody:
		all = append(all, guess{fields.PersonName, byVague})
	case ofHost:
		all = append(all, guess{fields.HostName, byVague})
	case ofVisit:
		all = append(all, guess{fields.Visit, byVague})
	}
	return all
}

func vaguely(last string, f fields.Field, about subject) []guess {
	switch {
	case f == fields.HostGroup:
		return nil // whose group is not said
	case last == "type" && (about == ofPerson || about == ofVisit):
		return []guess{{fields.VisitorType, byVague}}
	case f == fields.PersonName && about != ofPerson:
		return []guess{{f, byChance}}
	case about == ofPerson && isOfPerson(f):
		return []guess{{f, byTerm}}
	case last == "from":
		return []guess{{f, byChance}}
	default:
		return []guess{{f, byVague}}
	}
}

func isOfPerson(f fields.Field) bool {
	switch f {
	case fields.FirstName, fields.LastName, fields.PersonName, fields.Email, fields.Mobile, fields.PhotoURL, fields.Company, fields.VisitorType:
		return true
	}
	return false
}

// subjectOf is what the innermost word that says so is about. A person or a company
// within what is said of somebody else is not the visitor, or theirs.
func subjectOf(words []string) subject {
	inner := ofNothing
	for i := len(words) - 1; i >= 0; i-- {
		switch s := subjectWords[words[i]]; {
		case s == ofNothing:
		case inner == ofNothing && s != ofSomebody && s != ofCompany:
			return s
		case inner == ofNothing:
			inner = s
		case s == ofHost, s == ofElsewhere:
			if inner == ofSomebody {
				return s
			}
			return ofElsewhere
		case s == ofPerson:
			if inner == ofCompany {
				return ofCompany
			}
			return ofPerson
		}
	}
	if inner == ofSomebody {
		return ofPerson
	}
	return inner
}

// withoutSubject takes a word such as hostFirstName apart, behind the longest subject.
func withoutSubject(word string) (rest string, of subject) {
	for n := len(word) - 2; n > 0; n-- {
		rest := word[n:]
		if about := subjectWords[word[:n]]; about != ofNothing && (isTerm(rest) || idWords[rest]) {
			return rest, about
		}
	}
	return "", ofNothing
}

func isTerm(word string) bool { return terms[word] != "" || vague[word] != "" }

// isVocabulary reports whether a word is one of these: it says nothing about anybody.
func isVocabulary(word string) bool {
	return isTerm(word) || subjectWords[word] != ofNothing || idWords[word] || valueWords[word] || captionWords[word]
}
