import { facilitatorContract } from '../contract/facilitator-contract.ts'
import { WALLET_FACTORY } from '../support/chain.ts'
import { startFacilitator } from '../support/facilitator.ts'
import { startLocalFacilitator } from '../support/local-facilitator.ts'
import { SHOP_KEY, startServedFacilitator } from '../support/served-facilitator.ts'
import { connect } from './clients.ts'

facilitatorContract('the client of a remote service', async chain => {
  const reference = await startFacilitator({ chain, deployers: [WALLET_FACTORY] })
  const facilitator = connect(reference.url)
  await facilitator.supported()
  return {
    facilitator,
    async close() {
      await facilitator.close()
      await reference.close()
    },
  }
})

facilitatorContract('the local facilitator', async chain => {
  const facilitator = await startLocalFacilitator(chain, {
    deployers: [WALLET_FACTORY.toLowerCase()],
  })
  return { facilitator, close: facilitator.close }
})

facilitatorContract('the client of a served facilitator', async chain => {
  const served = await startServedFacilitator(chain, { local: `deployers: ["${WALLET_FACTORY}"]` })
  const facilitator = connect(served.url, { headers: { authorization: `Bearer ${SHOP_KEY}` } })
  await facilitator.supported()
  return {
    facilitator,
    async close() {
      await facilitator.close()
      await served.close()
    },
  }
})
