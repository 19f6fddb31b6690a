// A list of checksums as a maker of images publishes it, signed once with a key that was made for that and thrown away. It names
// `disk.raw`, the disk below, and another file.

export const signedDisk = Buffer.alloc(1024 ** 2, 'virga');
signedDisk.writeUInt16LE(0xaa55, 510);

export const fingerprint = '0200AD0ECC03AD93F3DF318BD7D552B3B5049BBF';
export const keyring = [
  'mDMEZZIAgBYJKwYBBAHaRw8BAQdAtpkr7NSWhOtEsdaABB2VBLX5WewX9ee/+CR0qQJ2wGW0JUltYWdlcyBmb3IgdGVzdHMgPGlt',
  'YWdlc0BleGFtcGxlLm9yZz6IkAQTFggAOBYhBAIArQ7MA62T898xi9fVUrO1BJu/BQJlkgCAAhsDBQsJCAcCBhUKCQgLAgQWAgMB',
  'Ah4BAheAAAoJENfVUrO1BJu/sS8A/jfmWQfq7NdextbZF+wQ0fMwcWbN6YlJCzIyVNvPO+LMAQDjI5yb8C5/rCLdQ1mrMl3I/HZ7',
  'Su/x3Yr9bJRx5vm2BQ==',
].join('');

export const list = `da8fbbda08ca0f4e153c2d2be24e0b058c99b43a1a3b459003c85f9640ee78a9 *disk.raw
0000000000000000000000000000000000000000000000000000000000000000 *other.raw
`;
export const signature = Buffer.from(
  [
    'iHUEABYIAB0WIQQCAK0OzAOtk/PfMYvX1VKztQSbvwUCZZIAgAAKCRDX1VKztQSbv6nBAP0VAO0PZSoRGfsS47nNYyhepMBQiD3g',
    'JjzndoBYoPqALgEAuQRvTTS02F2wWJ+w6DxAbyR4LMgT0PDJBSbPYtVeqAs=',
  ].join(''),
  'base64',
);

/** The same list, signed within itself. */
export const signedList = `-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

da8fbbda08ca0f4e153c2d2be24e0b058c99b43a1a3b459003c85f9640ee78a9 *disk.raw
0000000000000000000000000000000000000000000000000000000000000000 *other.raw
-----BEGIN PGP SIGNATURE-----

iHUEARYIAB0WIQQCAK0OzAOtk/PfMYvX1VKztQSbvwUCZZIAgAAKCRDX1VKztQSb
vxj0AQC+YRQay75TRhn7usCHgyVlMaizDzOJMoTusTOzqKQaSgEA0dddKHqND0td
26Kg5ERwZruVeD7KULrn7BGS+iSz3Qs=
=csxZ
-----END PGP SIGNATURE-----
`;
