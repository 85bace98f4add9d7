package cli

import (
	"os"
	"os/user"
	"strings"
)

// userName is who runs this process, for people to read and as the terminal's
// user ID.
func userName() string {
	name := ""
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if name == "" {
		name = os.Getenv("USER")
	}
	// A domain on Windows, and whatever else no principal may hold.
	name = name[strings.LastIndexByte(name, '\\')+1:]
	name = strings.Map(func(r rune) rune {
		if r <= ' ' || r == '*' || r == '/' || r == ':' || r == 0x7f {
			return '-'
		}
		return r
	}, name)
	if name == "" {
		return "owner"
	}
	return name
}
