import { z } from 'zod'
import { duration, gasPrice, text, wholeNumber } from './schema-values.ts'

const signer = z.strictObject({
  url: text(2048).meta({
    description: 'JSON-RPC URL of a service that answers eth_signTransaction, such as web3signer.',
    examples: ['http://127.0.0.1:9000'],
  }),
  address: text(64).meta({ description: 'The account that it signs for.' }),
})

const key = z.union([text(256), signer]).meta({
  description:
    `A private key as 64 hex digits, from a variable or a file: \${VAR} or \${file:/path}; or a ` +
    'map with url and address of a service that signs.',
})

const rpc = z
  .union([text(2048).transform(url => [url]), z.array(text(2048)).min(1).max(8)])
  .optional()
  .meta({
    description:
      'JSON-RPC URLs of the chain, asked in this order and added to networks.….rpc. Never logged: ' +
      'they may carry keys.',
    examples: ['https://rpc.example.com/v1/KEY'],
  })

const network = z.strictObject({
  rpc,
  maxFeePerGas: gasPrice()
    .prefault('50gwei')
    .meta({
      description: 'Most that is offered for a unit of gas. While gas costs more, payments wait.',
      examples: ['0.5gwei'],
    }),
})

export const local = z.strictObject({
  networks: z.record(text(64), network).meta({
    description: 'Networks to settle on, by name, each with rpc where networks names none.',
  }),
  key: key.optional(),
  keys: z.array(key).min(1).max(32).optional().meta({
    description: 'Several keys, instead of key: the one that has least to do is taken.',
  }),
  signer: signer.optional().meta({
    description: 'A service that signs, instead of key: {url: …, address: …}.',
  }),
  gasLimit: wholeNumber({ min: 50_000, max: 30_000_000 })
    .prefault('400000')
    .meta({ description: 'Most gas that one transaction may use. Dearer ones are not sent.' }),
  deployers: z.array(text(64)).max(64).prefault([]).meta({
    description:
      "Contracts that may be called to deploy a payer's smart wallet (EIP-6492). Default: none.",
  }),
  journal: text(2048).prefault('./data/local-facilitator.db').meta({
    description: 'File that remembers what was signed, from the directory of this file.',
  }),
  replaceAfter: duration({ min: 1_000, max: 3_600_000 })
    .prefault('30s')
    .meta({ description: 'How long a transaction waits before a dearer one replaces it.' }),
  settleTimeout: duration().prefault('60s').meta({
    description: 'How long to wait until a settlement is in a block.',
  }),
  concurrency: wholeNumber({ min: 1, max: 4096 })
    .prefault('1024')
    .meta({ description: 'Payments that are verified and settled at once, at most.' }),
})

/** An entry of `facilitators` that is no service. */
export const localFacilitator = z.strictObject({
  local: local.meta({
    description: 'Verify and settle on chain from here, with keys of your own and no service.',
  }),
})

export type LocalSetting = z.output<typeof local>
