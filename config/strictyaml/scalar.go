package strictyaml

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/letserverrun/skadi/core/nearest"
)

// scalar decodes a single value into v.
func (d *decoder) scalar(n *node, path string, v reflect.Value, f Field) {
	switch n.kind {
	case null:
		d.fail(n.at, path, "has no value; give it one or leave the key out")
		return
	case mapping, sequence:
		d.fail(n.at, path, "must be %s, not %s", wanted(v.Type()), n.kind)
		return
	case boolean, number, str, broken:
	}
	if v.Type() == secretType && !n.refers && n.kind == str && n.text != "" {
		e := d.doc.fault(n.at, "a secret stands in the file as it is; keep it outside and write ${env:NAME} or ${file:PATH}")
		e.Path = path
		d.warnings = append(d.warnings, e)
	}
	if detail := set(n, v, f); detail != "" {
		d.fail(n.at, path, "%s", detail)
	}
}

// set puts the scalar n into v, or says why it cannot. Where it repeats the
// value, it repeats what the file shows, and nothing of a secret.
func set(n *node, v reflect.Value, f Field) (detail string) {
	t := v.Type()
	if t == prefixType {
		return setPrefix(n, v)
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return setText(n, u, f)
	}
	switch {
	case t == durationType:
		return setDuration(n, v, f)
	case t.Kind() == reflect.String:
		return setString(n, v, f)
	case t.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(n.text)
		if err != nil || n.kind != boolean && !n.refers {
			return mismatch(n, t)
		}
		v.SetBool(b)
	case v.CanInt():
		i, err := strconv.ParseInt(n.text, 10, t.Bits())
		if err != nil || n.kind != number && !n.refers {
			return mismatch(n, t)
		}
		if detail := outside(i, f, func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }); detail != "" {
			return detail
		}
		v.SetInt(i)
	case v.CanFloat():
		x, err := strconv.ParseFloat(n.text, t.Bits())
		if err != nil || n.kind != number && !n.refers {
			return mismatch(n, t)
		}
		v.SetFloat(x)
	default:
		return fmt.Sprintf("values of type %s cannot be read from a config", t)
	}
	return ""
}

func setText(n *node, u encoding.TextUnmarshaler, f Field) string {
	if n.kind != str && n.kind != number {
		return fmt.Sprintf("must be %s, not %s", wanted(reflect.TypeOf(u).Elem()), n.kind)
	}
	if err := u.UnmarshalText([]byte(n.text)); err != nil {
		if n.refers {
			return fmt.Sprintf("what %s stands for is not right here", n.raw)
		}
		return err.Error()
	}
	if size, ok := u.(*Size); ok {
		return outside(int64(*size), f, func(s string) (int64, error) {
			var limit Size
			err := limit.UnmarshalText([]byte(s))
			return int64(limit), err
		})
	}
	return ""
}

// setPrefix takes a network, or an address for the network of it alone.
func setPrefix(n *node, v reflect.Value) string {
	p, err := netip.ParsePrefix(n.text)
	if err != nil {
		var addr netip.Addr
		if addr, err = netip.ParseAddr(n.text); err == nil {
			p = netip.PrefixFrom(addr.WithZone(""), addr.BitLen())
		}
	}
	if err != nil || n.kind != str {
		return fmt.Sprintf("must be an address or network such as 10.0.0.7 or 10.0.0.0/8, not %s", shown(n))
	}
	if p != p.Masked() {
		return fmt.Sprintf("%s has bits beyond its length; the network is %s", shown(n), p.Masked())
	}
	v.Set(reflect.ValueOf(p))
	return ""
}

func setString(n *node, v reflect.Value, f Field) string {
	if n.kind != str {
		if v.Type() == secretType {
			return "must be text; put quotes around it"
		}
		if n.kind == number && f.Number != "" {
			return fmt.Sprintf("is %s alone; write %s", n.raw, strings.ReplaceAll(f.Number, "%s", n.raw))
		}
		return fmt.Sprintf("must be text; write \"%s\" with quotes", n.raw)
	}
	if len(f.Enum) > 0 && !slices.Contains(f.Enum, n.text) {
		s := shown(n) + " is not one of " + strings.Join(f.Enum, ", ")
		if near, ok := nearest.Name(n.text, f.Enum); ok && !n.refers {
			s += fmt.Sprintf("; did you mean %q?", near)
		}
		return s
	}
	v.SetString(n.text)
	return ""
}

func setDuration(n *node, v reflect.Value, f Field) string {
	if n.kind != str && (n.kind != number || n.text != "0") {
		return fmt.Sprintf("must be a duration such as 30s, 10m or 90d, not %s", shown(n))
	}
	d, err := ParseDuration(n.text)
	if err != nil {
		return fmt.Sprintf("%s is no duration; write one such as 30s, 10m, 1h30m or 90d", shown(n))
	}
	parse := func(s string) (int64, error) { d, err := ParseDuration(s); return int64(d), err }
	if detail := outside(int64(d), f, parse); detail != "" {
		return detail
	}
	v.SetInt(int64(d))
	return ""
}

// outside says how a value breaks its limits. It does not repeat the value.
func outside(i int64, f Field, parse func(string) (int64, error)) string {
	if low, err := parse(f.Min); err == nil && f.Min != "" && i < low {
		return "must be at least " + f.Min
	}
	if high, err := parse(f.Max); err == nil && f.Max != "" && i > high {
		return "must be at most " + f.Max
	}
	return ""
}

func mismatch(n *node, t reflect.Type) string {
	return fmt.Sprintf("must be %s, not %s", wanted(t), shown(n))
}

// shown repeats what the file shows of a value.
func shown(n *node) string {
	if n.refers {
		return "what " + n.raw + " stands for"
	}
	return strconv.Quote(n.raw)
}

// wanted says what a type takes.
func wanted(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration such as 30s, 10m or 90d"
	case t == sizeType:
		return "a size such as 64KiB"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "a whole number"
	case t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32:
		return "a number"
	}
	return "text"
}
