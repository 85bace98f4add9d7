package teams

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
)

// Teams wants a colored icon of 192 by 192 pixels, whose symbol stays within
// the 120 in the middle, and a white one of 32 by 32 on nothing:
// https://learn.microsoft.com/microsoftteams/platform/concepts/build-and-test/apps-package#app-icons

const (
	colorIconSize   = 192
	outlineIconSize = 32
	accentColor     = "#1B4F72"
)

var (
	accent = color.NRGBA{R: 0x1b, G: 0x4f, B: 0x72, A: 0xff}
	white  = color.NRGBA{R: 0xff, G: 0xff, B: 0xff, A: 0xff}
)

// colorIcon is a white snowflake on the accent color, as a PNG.
func colorIcon() ([]byte, error) {
	return icon(colorIconSize, snowflake{radius: 56, width: 9}, func(ink float64) color.NRGBA {
		return color.NRGBA{
			R: blend(accent.R, white.R, ink), G: blend(accent.G, white.G, ink), B: blend(accent.B, white.B, ink), A: 0xff,
		}
	})
}

// outlineIcon is a white snowflake on nothing, as a PNG.
func outlineIcon() ([]byte, error) {
	return icon(outlineIconSize, snowflake{radius: 14.5, width: 2}, func(ink float64) color.NRGBA {
		return color.NRGBA{R: white.R, G: white.G, B: white.B, A: blend(0, 0xff, ink)}
	})
}

func blend(from, to uint8, share float64) uint8 {
	return uint8(math.Round(float64(from) + share*(float64(to)-float64(from))))
}

// icon draws a snowflake in the middle of a square; paint turns how much of a
// pixel it covers into the pixel.
func icon(size int, s snowflake, paint func(ink float64) color.NRGBA) ([]byte, error) {
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	middle := float64(size) / 2
	for y := range size {
		for x := range size {
			img.SetNRGBA(x, y, paint(s.ink(float64(x)+0.5-middle, float64(y)+0.5-middle)))
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("drawing an icon: %w", err)
	}
	return b.Bytes(), nil
}

// snowflake has six arms around the origin, each with a fork.
type snowflake struct{ radius, width float64 }

// ink is how much of the pixel around a point it covers, from 0 to 1.
func (s snowflake) ink(x, y float64) float64 {
	nearest := math.Inf(1)
	reach := s.radius - s.width/2
	for arm := range 6 {
		sin, cos := math.Sincos(float64(arm) * math.Pi / 3)
		// Turned so that the arm points up, mirrored so that its fork has one
		// side.
		u, v := math.Abs(x*cos+y*sin), x*sin-y*cos
		nearest = min(nearest,
			distance(u, v, 0, 0, 0, reach),
			distance(u, v, 0, reach*0.55, reach*0.3, reach*0.85))
	}
	return min(max(0.5+s.width/2-nearest, 0), 1)
}

// distance is that of a point from the line between two others.
func distance(x, y, x1, y1, x2, y2 float64) float64 {
	dx, dy := x2-x1, y2-y1
	along := min(max(((x-x1)*dx+(y-y1)*dy)/(dx*dx+dy*dy), 0), 1)
	return math.Hypot(x-x1-along*dx, y-y1-along*dy)
}
