import { z } from 'zod'
import { duration, wholeNumber } from './schema-values.ts'

const DAY_MS = 24 * 3_600_000

const rateKeys = {
  requests: wholeNumber({ min: 1, max: 100_000_000 }).meta({ description: 'How many.' }),
  per: duration({ min: 1000, max: DAY_MS }).meta({ description: 'In how much time: 1s to 1d.' }),
}

const rate = z.strictObject(rateKeys)

const rateLimit = z.strictObject({
  ...rateKeys,
  by: z
    .enum(['address', 'payer', 'route'])
    .prefault('address')
    .meta({
      description:
        'Whose requests are counted together: those of one client address (IPv6: of one /64), of ' +
        'one payer whose signature was checked, or all of a route.',
    }),
})

export const rateLimitSetting = z
  .union([z.literal('off'), rateLimit, z.array(rateLimit).min(1).max(8)])
  .meta({
    description: 'How many requests are served. More get 429. One limit, or a list that all hold.',
    examples: [{ requests: 100, per: '1m', by: 'address' }],
  })

const verify = z.strictObject({
  strangers: rate.prefault({ requests: '1000', per: '10s' }).meta({
    description:
      'Payments that are looked into at all, which costs a signature check: those that prove bad, of ' +
      'all payers together that have not paid here lately; and as many of those that have, from ' +
      'addresses that they have not paid from, and beside junk from where they have.',
  }),
  newcomers: rate.prefault({ requests: '50', per: '1s' }).meta({
    description:
      'Refused payments that facilitators are asked about, of all payers together that have not ' +
      'paid here lately.',
  }),
  smartWallets: rate.prefault({ requests: '10', per: '1s' }).meta({
    description:
      'Payments that facilitators are asked about whose signature only the chain can check.',
  }),
  refused: rate.prefault({ requests: '60', per: '1m' }).meta({
    description:
      'Refused payments of one address or payer. Beyond that, nobody is asked about more of that ' +
      'payer, nor about payers of that address that have not paid here lately.',
  }),
  perPayer: wholeNumber({ min: 1, max: 10_000 }).prefault('64').meta({
    description: 'Verifications at once for one payer.',
  }),
  perAddress: wholeNumber({ min: 1, max: 10_000 }).prefault('64').meta({
    description:
      'Verifications at once for those payers of one address that have not paid here lately.',
  }),
})

export const limitsSetting = z
  .strictObject({
    unpaid: rate.optional().meta({
      description: '402 answers to one address; more are 429. Default: any number.',
      examples: [{ requests: 600, per: '1m' }],
    }),
    verify: verify.prefault({}).meta({
      description: 'What payments may cost that turn out to be worth nothing.',
    }),
  })
  .meta({ description: 'What those may cost who do not pay.' })

export type LimitsSetting = z.output<typeof limitsSetting>
export type RateLimitSetting = z.output<typeof rateLimitSetting>
