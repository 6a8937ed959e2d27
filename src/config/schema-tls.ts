import { z } from 'zod'
import { text } from './schema-values.ts'

const PATH_LENGTH_MAX = 4096

export const tls = z
  .strictObject({
    cert: text(PATH_LENGTH_MAX).meta({
      description: 'PEM file with the certificate, then those between it and a public root.',
    }),
    key: text(PATH_LENGTH_MAX).meta({
      description: 'PEM file with the private key of the certificate, without a passphrase.',
    }),
    clientCa: text(PATH_LENGTH_MAX)
      .optional()
      .meta({
        description:
          'PEM file with the authorities whose client certificates count. Callers are asked for one ' +
          'and may have none.',
      }),
  })
  .meta({
    description:
      'Files to serve HTTPS with, relative to this file. They are read again when they change.',
  })

export const http2 = z.enum(['on', 'off']).prefault('on').meta({
  description: 'Whether callers may choose HTTP/2. They can only where there is tls.',
})
