import { z } from 'zod'
import { duration, flag, text, wholeNumber } from './schema-values.ts'

const HOUR_MS = 3_600_000

export const corsSetting = z
  .union([
    z.literal('off'),
    z.strictObject({
      origins: z
        .array(text(256))
        .min(1)
        .meta({
          description: 'Web origins that browsers may call from, or ["*"] for all of them.',
          examples: [['*'], ['https://app.example.com']],
        }),
      credentials: flag().prefault('false').meta({
        description: 'Whether pages may send cookies along. Only with origins that are named.',
      }),
      exposeHeaders: z
        .array(text(128))
        .max(64)
        .prefault([])
        .meta({
          description: 'Headers of the API that pages may read, beside those of payments.',
          examples: [['x-request-id']],
        }),
      maxAge: duration({ min: 1000, max: 24 * HOUR_MS })
        .prefault('10m')
        .meta({ description: 'How long a browser may remember that it may call. At most 24h.' }),
    }),
  ])
  .meta({ description: 'Whether browsers may call from other web pages. Default: off.' })

const stripPrefix = z.strictObject({
  stripPrefix: text(2048).meta({
    description: 'Taken off the front of the path: with /v1, the API gets /weather of /v1/weather.',
    examples: ['/v1'],
  }),
})

export const defaultRewrite = stripPrefix.meta({
  description:
    'For every route whose path begins with stripPrefix and that has no rewrite of its own.',
})

export const rewrite = z
  .union([z.literal('off'), text(2048).transform(template => ({ template })), stripPrefix])
  .meta({
    description:
      'The path that the API gets: a template like /internal/{city}/today with parameters of the ' +
      'route ({*} is the rest), {stripPrefix: /v1}, or off. The query goes along.',
    examples: ['/internal/{city}/today', { stripPrefix: '/v1' }],
  })

const headerChanges = (description: string) =>
  z
    .strictObject({
      set: z
        .record(z.string(), z.string().max(16 * 1024))
        .prefault({})
        .meta({ description: 'Names and values that stand there whatever stood before.' }),
      remove: z
        .array(text(128))
        .max(128)
        .prefault([])
        .meta({ description: 'Names that go no further.', examples: [['x-powered-by']] }),
    })
    .prefault({})
    .meta({ description })

export const headerRules = z
  .strictObject({
    request: headerChanges('What the API gets.'),
    response: headerChanges("What callers get of the API's answer. Answers of farebox stay."),
  })
  .meta({
    description:
      "Headers to set and to remove, both ways. A route's rules for a name beat the default's.",
  })

export const upstreamHost = text(255)
  .prefault('upstream')
  .meta({
    description:
      'The Host that the API gets: upstream (that of its url), client (what the caller asked for) ' +
      'or a host name. TLS goes by the url in any case.',
    examples: ['upstream', 'client', 'api.example.com'],
  })

export const respond = z
  .strictObject({
    status: wholeNumber({ min: 200, max: 599 }).prefault('200').meta({
      description: 'Status of the answer.',
    }),
    body: z
      .string()
      .max(64 * 1024)
      .optional()
      .meta({ description: 'The answer itself.' }),
    file: text(4096)
      .optional()
      .meta({
        description:
          'A file with the answer, from the directory of this file; read with the configuration. ' +
          'At most 8MiB.',
      }),
    headers: z
      .record(z.string(), z.string().max(16 * 1024))
      .prefault({})
      .meta({ description: "Headers of the answer. Its type is the route's mimeType by default." }),
  })
  .meta({
    description: 'Answers from here instead of asking an API: a body or a file. It may be priced.',
    examples: [{ body: 'ok' }, { file: 'report.pdf' }],
  })

export const redirect = z
  .strictObject({
    to: text(2048).meta({
      description:
        'Where to: a URL or a path, with parameters of the route in its path. The query goes along.',
      examples: ['https://docs.example.com/{page}'],
    }),
    status: z
      .enum(['301', '302', '303', '307', '308'])
      .prefault('307')
      .meta({
        description: '307 and 308 keep the method; browsers remember 301 and 308.',
        type: ['integer', 'string'],
        enum: [301, 302, 303, 307, 308, '301', '302', '303', '307', '308'],
      }),
  })
  .meta({ description: 'Sends callers elsewhere. Only on a free route.' })

export const chargeMode = z.enum(['enforce', 'shadow']).meta({
  description:
    'enforce: priced routes are paid for. shadow: they are served to everybody for nothing, and ' +
    'what would have been charged is logged and counted.',
})

export type CorsSetting = z.output<typeof corsSetting>
export type RewriteSetting = z.output<typeof rewrite>
export type HeaderRulesSetting = z.output<typeof headerRules>
export type RespondSetting = z.output<typeof respond>
export type RedirectSetting = z.output<typeof redirect>
