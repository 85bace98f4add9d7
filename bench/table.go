package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// row is one line of the table.
type row struct {
	what   string
	value  string
	beside string // what it is compared with
	ratio  string
	asked  string // what is aimed at
	met    verdict
}

// against fills in a rate of ours and of somebody else, in jobs per second:
// what passes and what is the goal are multiples of theirs, 0 if not judged.
// Theirs is 0 if it was not run.
func (r row) against(ours float64, who string, theirs, passes, goal float64) row {
	r.value = rate(ours, "jobs")
	if theirs == 0 {
		r.beside = who + " was not run"
		return r
	}
	r.beside, r.ratio = who+" "+rate(theirs, "jobs"), times(ours, theirs)
	if passes > 0 {
		r.met = judge(ours >= passes*theirs)
	}
	if goal > 0 && ours >= goal*theirs {
		r.met = verdict(fmt.Sprintf("yes, %g×", goal))
	}
	return r
}

type verdict string

const (
	unjudged verdict = ""
	met      verdict = "yes"
	short    verdict = "NO"
)

func judge(ok bool) verdict {
	if ok {
		return met
	}
	return short
}

// table collects rows under headings and prints them all at once.
type table struct {
	sections []section
	notes    []string
}

type section struct {
	title string
	rows  []row
}

func (t *table) heading(title string) { t.sections = append(t.sections, section{title: title}) }

func (t *table) add(r row) {
	last := &t.sections[len(t.sections)-1]
	last.rows = append(last.rows, r)
}

func (t *table) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (r row) cells() []string {
	return []string{r.what, r.value, r.beside, r.ratio, r.asked, string(r.met)}
}

func (t *table) print(w io.Writer) error {
	head := []string{"measured", "Skadi", "beside it", "ratio", "asked", "met"}
	widths := make([]int, len(head))
	widen := func(cells []string) {
		for i, c := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	widen(head)
	for _, s := range t.sections {
		for _, r := range s.rows {
			widen(r.cells())
		}
	}
	var b strings.Builder
	line := func(cells []string) {
		var l strings.Builder
		for i, c := range cells {
			l.WriteString(c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2))
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	line(head)
	for _, s := range t.sections {
		if len(s.rows) == 0 {
			continue
		}
		b.WriteString("── " + s.title + "\n")
		for _, r := range s.rows {
			line(r.cells())
		}
	}
	for _, n := range t.notes {
		b.WriteString("* " + n + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
