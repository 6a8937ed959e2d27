import { createRequire } from 'node:module'
import { createSigner } from 'x402-fetch'
import type { Intercept } from './facilitator.ts'
import type { SolanaChain } from './solana-chain.ts'
import { feePayer } from './solana-world.ts'

type Verify = (
  signer: unknown,
  payload: unknown,
  requirements: unknown,
  config: { readonly svmConfig: { readonly rpcUrl: string } },
) => Promise<unknown>

/**
 * Verifies as the last facilitator module of version 1 does (npm x402 1.2.0, which x402-fetch 1.2.0
 * brings along). What it takes is settled by the reference facilitator.
 */
export function verifyingWithV1Module(chain: SolanaChain): Intercept {
  const here = createRequire(import.meta.url)
  const module: { verify: Verify } = createRequire(here.resolve('x402-fetch'))('x402/facilitator')
  const svmConfig = { rpcUrl: chain.rpcUrl }
  return async (operation, next, body) => {
    if (operation !== 'verify') return next()
    const signer = await createSigner('solana-devnet', feePayer.secret)
    const { paymentPayload, paymentRequirements } = Object(body)
    const answer = await module.verify(signer, paymentPayload, paymentRequirements, { svmConfig })
    return { status: 200, body: answer }
  }
}
