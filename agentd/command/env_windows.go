package command

// platformKept is what programs of this system cannot do without.
var platformKept = []string{
	"SystemRoot", "SystemDrive", "ComSpec", "PATHEXT", "TEMP", "TMP", "USERPROFILE", "ProgramData", "ProgramFiles",
}
