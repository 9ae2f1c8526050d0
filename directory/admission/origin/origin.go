// Package origin says which autonomous system and which country an address lies
// in, by a table that the operator of an authority supplies: a maxminddb file or
// a list of prefixes. It ships none and asks nobody.
package origin
