import { z } from 'zod'
import { text } from './schema-values.ts'

const file = text(4096)

export const upstreamTls = z
  .strictObject({
    ca: file.optional().meta({
      description:
        'PEM file with the authorities that may have signed the certificate of a server. Default: ' +
        'the public ones, which it takes the place of.',
    }),
    cert: file.optional().meta({
      description:
        'PEM file with the certificate that farebox shows, then those between it and its root.',
    }),
    key: file.optional().meta({
      description: 'PEM file with the private key of that certificate, without a passphrase.',
    }),
    serverName: text(253)
      .optional()
      .meta({
        description:
          'The name to ask a server for (SNI), and to hold its certificate against. Default: that ' +
          'of its url.',
        examples: ['api.internal'],
      }),
  })
  .meta({
    description:
      'How to trust https servers, and what to show them. Files are relative to this file, and are ' +
      'read again when they change.',
  })
