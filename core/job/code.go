package job

import (
	"strings"
)

// A code is the job's number, permuted so that neighbours do not look alike,
// in an alphabet without vowels' trouble: no i, l, o or u to misread or to
// spell words with. Numbers are unique in a database, so codes are too, and
// no index is needed to keep them so.

const (
	codeAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	codeHalf     = 15 // bits in each half of the permutation
	codeMask     = 1<<codeHalf - 1
	codeSpan     = 1 << (2 * codeHalf) // numbers that six characters hold
)

// codeKeys only scramble; codes are names, not secrets.
var codeKeys = [...]uint32{0x5ca1, 0x3b7d, 0x6e0f, 0x19c3}

// EncodeCode returns the code of a job's number. Codes have six characters,
// and more once numbers pass 2^30.
func EncodeCode(num int64) string {
	if num < 0 {
		return ""
	}
	high, low := num/codeSpan, permute(uint32(num%codeSpan))
	var b [16]byte
	i := len(b)
	for n := 0; n < 6; n++ {
		i--
		b[i] = codeAlphabet[low&31]
		low >>= 5
	}
	for ; high > 0; high /= 32 {
		i--
		b[i] = codeAlphabet[high%32]
	}
	return string(b[i:])
}

// ParseCode returns the number of a code as a person types it: with or
// without #, in either case, o and i and l for the digits they look like.
func ParseCode(s string) (num int64, ok bool) {
	s = strings.ToLower(strings.TrimPrefix(s, "#"))
	if len(s) < 6 || len(s) > 11 {
		return 0, false
	}
	var n int64
	for _, c := range []byte(s) {
		switch c {
		case 'o':
			c = '0'
		case 'i', 'l':
			c = '1'
		}
		d := strings.IndexByte(codeAlphabet, c)
		if d < 0 {
			return 0, false
		}
		n = n*32 + int64(d)
	}
	num = n/codeSpan*codeSpan + int64(unpermute(uint32(n%codeSpan)))
	return num, EncodeCode(num) == canonical(s)
}

func canonical(s string) string {
	return strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(s)
}

// permute is a Feistel network over 30 bits, so it has an inverse and no two
// numbers share a code.
func permute(n uint32) uint32 {
	l, r := n>>codeHalf, n&codeMask
	for _, k := range codeKeys {
		l, r = r, l^round(r, k)
	}
	return l<<codeHalf | r
}

func unpermute(n uint32) uint32 {
	l, r := n>>codeHalf, n&codeMask
	for i := len(codeKeys) - 1; i >= 0; i-- {
		l, r = r^round(l, codeKeys[i]), l
	}
	return l<<codeHalf | r
}

func round(half, key uint32) uint32 {
	x := (half ^ key) * 0x9e3779b1
	x ^= x >> 13
	return x & codeMask
}
