package teams

import (
	"archive/zip"
	"bytes"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func testAppPackage() App {
	return App{BotID: strings.ToUpper(testApp), Name: "Skadi", Version: "1.0.0", PublicURL: "https://skadi.example.com:8443/base?x#y"}
}

func unpack(t *testing.T, a App) map[string][]byte {
	t.Helper()
	var b, again bytes.Buffer
	if err := a.WritePackage(&b); err != nil {
		t.Fatal(err)
	}
	if err := a.WritePackage(&again); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Errorf("written again it differs (%v)", err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
	}
	return files
}

// TestManifest holds the manifest against a file that Microsoft's schemas from
// 1.17 to 1.29 take.
func TestManifest(t *testing.T) {
	t.Parallel()
	files := unpack(t, testAppPackage())
	if len(files) != 3 {
		t.Errorf("there are %d files in it, want 3", len(files))
	}
	file := filepath.Join("testdata", "manifest.golden.json")
	if *update {
		if err := os.WriteFile(file, files["manifest.json"], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(files["manifest.json"])); diff != "" {
		t.Errorf("it differs from %s, which -update writes anew:\n%s", file, diff)
	}
}

// TestManifestLimits checks what the schema bounds and a change may overstep.
func TestManifestLimits(t *testing.T) {
	t.Parallel()
	a := testAppPackage()
	a.Name = strings.Repeat("é", maxShortName)
	m := a.manifest()
	for what, c := range map[string]struct {
		text string
		most int
	}{
		"developer.name":    {m.Developer.Name, 32},
		"name.short":        {m.Name.Short, 30},
		"name.full":         {m.Name.Full, 100},
		"description.short": {m.Description.Short, 80},
		"description.full":  {m.Description.Full, 4000},
	} {
		if n := utf8.RuneCountInString(c.text); n == 0 || n > c.most {
			t.Errorf("%s has %d characters, at most %d are taken", what, n, c.most)
		}
	}
	if m.Name.Short == m.Name.Full || strings.Contains(m.Description.Full, m.Description.Short) {
		t.Error("a full text repeats the short one")
	}
	list := m.Bots[0].Lists[0]
	if n := len(list.Commands); n > 10 {
		t.Errorf("there are %d commands, Teams shows 10", n)
	}
	for _, c := range list.Commands {
		if len(c.Title) > 32 || utf8.RuneCountInString(c.Description) > 128 || strings.ToLower(c.Title) != c.Title {
			t.Errorf("the command %+v is too long, or not as it is typed", c)
		}
	}
}

func TestWebsite(t *testing.T) {
	t.Parallel()
	for public, want := range map[string][]string{
		"https://skadi.example.com":        {"https://skadi.example.com", "skadi.example.com"},
		"https://skadi.example.com:8443/x": {"https://skadi.example.com:8443/x", "skadi.example.com"},
		"https://10.1.2.3":                 {"https://10.1.2.3"},
		"https://localhost:8443":           {"https://localhost:8443"},
		"http://skadi.example.com":         {projectURL},
		"https://user@skadi.example.com":   {projectURL},
		"":                                 {projectURL},
		"%":                                {projectURL},
	} {
		website, domains := App{PublicURL: public}.website()
		if diff := cmp.Diff(want, append([]string{website}, domains...)); diff != "" {
			t.Errorf("%q: %s", public, diff)
		}
	}
}

func TestAppsThatTeamsWouldNotTake(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*App){
		"no ID":            func(a *App) { a.BotID = "" },
		"no GUID":          func(a *App) { a.BotID = "skadi" },
		"no name":          func(a *App) { a.Name = "" },
		"a long name":      func(a *App) { a.Name = strings.Repeat("x", 31) },
		"blanks":           func(a *App) { a.Name = " Skadi" },
		"a control":        func(a *App) { a.Name = "Ska\x1bdi" },
		"no version":       func(a *App) { a.Version = "" },
		"half a version":   func(a *App) { a.Version = "1.0" },
		"a version in all": func(a *App) { a.Version = "v1.0.0" },
		"zeros in front":   func(a *App) { a.Version = "1.01.0" },
	} {
		a := testAppPackage()
		change(&a)
		var b bytes.Buffer
		if err := a.WritePackage(&b); err == nil || b.Len() > 0 {
			t.Errorf("%s: it was written (%v)", name, err)
		}
	}
}

func TestIcons(t *testing.T) {
	t.Parallel()
	files := unpack(t, testAppPackage())
	draw := func(name string, size int) image.Image {
		img, err := png.Decode(bytes.NewReader(files[name]))
		if err != nil {
			t.Fatal(err)
		}
		if img.Bounds() != image.Rect(0, 0, size, size) {
			t.Errorf("%s is of %v, want %d by %d", name, img.Bounds(), size, size)
		}
		return img
	}
	inked := 0
	img := draw(colorIconFile, 192)
	for y := range 192 {
		for x := range 192 {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			margin := min(x, y, 191-x, 191-y) < (192-120)/2
			if c.A != 0xff || margin && c != accent {
				t.Fatalf("the colored icon is %v at %d, %d", c, x, y)
			}
			if c == white {
				inked++
			}
		}
	}
	img = draw(outlineIconFile, 32)
	for y := range 32 {
		for x := range 32 {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			if c.A > 0 && (c.R != 0xff || c.G != 0xff || c.B != 0xff) {
				t.Fatalf("the outline icon is %v at %d, %d", c, x, y)
			}
			if c.A == 0xff {
				inked++
			}
		}
	}
	if inked < 1000 {
		t.Errorf("%d pixels are drawn", inked)
	}
}
