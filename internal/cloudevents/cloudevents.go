// Package cloudevents tests events and decision records with the SDK of CloudEvents for Go
// as a peer: it reads what a relay publishes, and package subscriber reads what it
// publishes.
package cloudevents
