import { z } from 'zod'
import { text, wholeNumber } from './schema-values.ts'

/** "true" and "false", as text or as an editor sees them. */
const flag = z
  .enum(['true', 'false'])
  .meta({ type: ['boolean', 'string'], enum: [true, false, 'true', 'false'] })
  .transform(written => written === 'true')

const asset = z.strictObject({
  symbol: z
    .string()
    .regex(/^\S{1,32}$/)
    .meta({ description: 'Ticker, like USDC.' }),
  address: text(64).meta({ description: "The token's contract." }),
  decimals: wholeNumber({ min: 0, max: 36 }).meta({
    description: 'Digits after the point that the token carries. USDC: 6.',
  }),
  eip712: z
    .strictObject({
      name: text(128).meta({ description: "As the contract's signing domain has it." }),
      version: text(32).meta({ description: "As the contract's signing domain has it." }),
    })
    .meta({ description: 'Wrong by one letter, and every signature fails.' }),
  transferMethod: z
    .enum(['eip3009', 'permit2'])
    .prefault('eip3009')
    .meta({ description: 'How a signature moves the token.' }),
  dollarPegged: flag.optional().meta({
    description: 'true: one token is one US dollar, so prices like $0.001 can be paid with it.',
  }),
})

const network = z.strictObject({
  id: z
    .string()
    .regex(/^eip155:[1-9]\d{0,17}$/)
    .optional()
    .meta({ description: 'CAIP-2 chain id. Only for a network that farebox does not know.' }),
  v1: text(64).optional().meta({ description: 'What x402 version 1 calls the network.' }),
  testnet: flag.optional().meta({ description: 'true where the money is play money.' }),
  assets: z.array(asset).min(1).optional().meta({
    description: 'Its tokens, the default first. Replaces the tokens that farebox knows there.',
  }),
  rpc: z
    .array(text(2048))
    .min(1)
    .max(8)
    .optional()
    .meta({
      description:
        'JSON-RPC URLs of the chain, asked in this order. With one, a payment whose settlement ' +
        'got lost is finished from what the chain says. Never logged: they may carry keys.',
      examples: [['https://rpc.example.com/v1/KEY']],
    }),
  finality: wholeNumber({ min: 0, max: 10_000 })
    .optional()
    .meta({
      description:
        'How many blocks under the newest one a block is taken to stay. Default: the block that ' +
        'the node calls finalized.',
    }),
})

/** By name: of a known network, what is written replaces what is known. */
export const networks = z.record(z.string().regex(/^[a-z][a-z0-9-]{0,62}$/), network).meta({
  description:
    'More about networks: RPC nodes and finality of known ones, or networks of your own, in the ' +
    'shape of config/networks.yaml.',
})

export type NetworkSetting = z.output<typeof network>
export type AssetSetting = z.output<typeof asset>
