"""Small videos and sounds for the tests of cameras and microphones. Standard library only."""

import struct
import wave


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def picture(width, height, color_of):
    """Rows from above of (red, green, blue)."""
    return [[color_of(x, y) for x in range(width)] for y in range(height)]


def write_avi(path, pictures, rate):
    """Uncompressed pictures (RIFF AVI, 24-bit bitmaps): what is read is what was written."""
    height, width = len(pictures[0]), len(pictures[0][0])
    padding = b"\0" * (-3 * width % 4)
    frames = []
    for rows in pictures:
        # Bitmaps begin below and have blue first.
        body = b"".join(b"".join(bytes((b, g, r)) for r, g, b in row) + padding
                        for row in reversed(rows))
        frames.append(chunk(b"00db", body))
    size = len(frames[0]) - 8
    main = struct.pack("<14I", 1_000_000 // rate, size * rate, 0, 0x10, len(frames), 0, 1, size,
                       width, height, 0, 0, 0, 0)
    stream = struct.pack("<4s4sIHHIIIIIIIIhhhh", b"vids", b"DIB ", 0, 0, 0, 0, 1, rate, 0,
                         len(frames), size, 0, 0, 0, 0, width, height)
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, size, 0, 0, 0, 0)
    header = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) +
                   chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", bitmap)))
    movie = chunk(b"LIST", b"movi" + b"".join(frames))
    with open(path, "wb") as file:
        file.write(chunk(b"RIFF", b"AVI " + header + movie))


def write_wav(path, samples, rate, channels=1):
    """Samples from -1 to 1 as 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", max(-32768, min(32767, round(s * 32768))))
                                  for s in samples))
