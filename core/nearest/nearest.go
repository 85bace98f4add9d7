// Package nearest finds the name that somebody probably meant.
package nearest

import "strings"

// maxLength bounds the work for words that strangers send; nothing longer is
// a misspelt name.
const maxLength = 64

// Name returns the one of names that word is most likely a misspelling of,
// and false if none is close. Case is ignored, swapped neighbours count as
// one mistake, and among equally close names the first wins.
func Name(word string, names []string) (string, bool) {
	if word == "" || len(word) > maxLength {
		return "", false
	}
	w := []rune(strings.ToLower(word))
	best, found := "", -1
	for _, name := range names {
		if len(name) > maxLength {
			continue
		}
		n := []rune(strings.ToLower(name))
		allowed := tolerance(max(len(w), len(n)))
		if d := distance(w, n); d <= allowed && (found < 0 || d < found) {
			best, found = name, d
		}
	}
	return best, found >= 0
}

// tolerance is how many mistakes a word of that length may have: one in
// three letters, so that two different short words are not taken for one.
func tolerance(length int) int { return length / 3 }

// distance counts the insertions, deletions, substitutions and swaps of
// neighbours that turn a into b.
func distance(a, b []rune) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
