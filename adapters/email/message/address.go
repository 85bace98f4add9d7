package message

// Address is an address in a mail.
type Address struct {
	// Raw is local@domain as it was written, quotes and all.
	Raw string
	// Name is the display name, decoded. Nothing is decided by it.
	Name string
	// Local is the part before the @ as it was written, without quotes.
	Local string
	// Domain is in small letters and ASCII (punycode).
	Domain string
}

// String returns the address normalised: Local in small letters, @, Domain.
func (a Address) String() string { return a.Local + "@" + a.Domain }
