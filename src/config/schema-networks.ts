import { z } from 'zod'
import { flag, text, wholeNumber } from './schema-values.ts'

/** Which members a token has depends on the kind of its network: read-network.ts says so. */
const asset = z.strictObject({
  symbol: z
    .string()
    // The upstream reads it in a header.
    .regex(/^[!-~]{1,32}$/)
    .meta({ description: 'Ticker in ASCII, like USDC.' }),
  address: text(128).meta({
    description: "The token's contract; on Solana its mint, on Algorand its id.",
    type: ['string', 'integer'],
  }),
  decimals: wholeNumber({ min: 0, max: 36 }).meta({
    description: 'Digits after the point that the token carries. USDC: 6.',
  }),
  eip712: z
    .strictObject({
      name: text(128).meta({ description: "As the contract's signing domain has it." }),
      version: text(32).meta({ description: "As the contract's signing domain has it." }),
    })
    .optional()
    .meta({
      description:
        'On EVM networks. Wrong by one letter, and every signature fails. Leave it out, with ' +
        'transferMethod permit2, for a token that has neither EIP-3009 nor EIP-2612.',
    }),
  transferMethod: z.enum(['eip3009', 'permit2']).optional().meta({
    description: 'On EVM networks: how a signature moves the token. Default: eip3009.',
  }),
  program: text(64).optional().meta({ description: 'On Solana: the token program of the mint.' }),
  dollarPegged: flag().optional().meta({
    description: 'true: one token is one US dollar, so prices like $0.001 can be paid with it.',
  }),
})

/** One network, in config/networks.yaml and in the operator's file alike. */
export const networkSetting = z.strictObject({
  id: z
    .string()
    .regex(/^(eip155:[1-9]\d{0,17}|(solana|algorand|stellar|aptos):[-_a-zA-Z0-9]{1,32})$/)
    .optional()
    .meta({ description: 'CAIP-2 chain id. Only for a network that farebox does not know.' }),
  v1: text(64).optional().meta({ description: 'What x402 version 1 calls the network.' }),
  aliases: z.array(text(128)).min(1).max(8).optional().meta({
    description: 'What else facilitators call it in what they say they support.',
  }),
  testnet: flag().optional().meta({ description: 'true where the money is play money.' }),
  assets: z
    .array(asset)
    .min(1)
    .optional()
    .meta({
      description:
        'Tokens, the default first. Of a known network they come after those that farebox knows; ' +
        'one with a known symbol or address replaces it.',
    }),
  programs: z
    .record(z.string().regex(/^[a-z0-9-]{1,32}$/), text(64))
    .optional()
    .meta({ description: 'On Solana: what a payment may call beside its token program, by name.' }),
  explorer: text(2048)
    .optional()
    .meta({
      description: 'Where people look at a transaction; {transaction} stands for its hash.',
      examples: ['https://explorer.example.com/tx/{transaction}'],
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

/** By name: of a known network, what is written replaces what is known, and tokens are added. */
export const networks = z.record(z.string().regex(/^[a-z][a-z0-9-]{0,62}$/), networkSetting).meta({
  description:
    'More about networks: RPC nodes, finality and tokens of known ones, or networks of your own, ' +
    'in the shape of config/networks.yaml.',
})

export type NetworkSetting = z.output<typeof networkSetting>
export type AssetSetting = z.output<typeof asset>
