// Package similar finds the name that somebody meant who wrote one that there is not.
package similar

import "strings"

// To returns those of some names that differ least from one that is not among them,
// by at most two letters, case aside: at most three of them.
func To(name string, names []string) []string {
	name = strings.ToLower(name)
	least, found := 2, []string(nil)
	for _, other := range names {
		switch differ := distance(name, strings.ToLower(other)); {
		case differ < least:
			least, found = differ, []string{other}
		case differ == least:
			found = append(found, other)
		}
	}
	return found[:min(len(found), 3)]
}

// distance is how many letters are to be added, taken out or changed to make b
// of a: Levenshtein's, with one row of his table at a time.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
