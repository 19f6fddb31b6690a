import { defineCommand } from '../../command.ts';
import { hardwareOptions, readHardware, restartOption } from '../hardware-options.ts';
import { changeInstances, findInstances } from '../instance-change.ts';
import { waitOption } from '../shared-options.ts';

const yesOrNo = { type: 'text', value: 'YES-OR-NO', choices: ['yes', 'no'] } as const;

export const setHardware = defineCommand({
  meta: {
    path: 'hardware set',
    summary: 'Change what the machine of an instance is made of',
    details:
      'What is left out stays as it is. A machine is made when it starts: one that runs is refused, unless --restart lets ' +
      'it be shut down and started again. A system that was installed with BIOS does not start with UEFI, nor the other ' +
      'way round. What a TPM holds is erased when it is taken away.',
    section: 'Devices',
  },
  args: { instances: { summary: 'names or ids', variadic: true, complete: 'instance' } },
  options: {
    ...hardwareOptions,
    tpm: { ...yesOrNo, summary: 'a TPM 2.0 of its own' },
    cdrom: { ...yesOrNo, summary: 'a drive for CD-ROMs' },
    restart: restartOption,
    wait: waitOption,
  },
  examples: [
    { command: 'virga hardware set web --boot cdrom,disk --restart', explains: 'boots from the disc in its drive' },
    { command: 'virga hardware set vault --tpm yes --firmware uefi-secure', explains: 'while it is stopped' },
    { command: 'virga hardware set web --watchdog reset --restart --wait', explains: 'is reset when it hangs' },
  ],
  async run(context, { args, options }) {
    const { tpm, cdrom, restart } = options;
    const body = {
      ...readHardware(options),
      ...(tpm === undefined ? {} : { tpm: tpm === 'yes' }),
      ...(cdrom === undefined ? {} : { cdrom: cdrom === 'yes' }),
      ...(restart ? { restart } : {}),
    };
    return changeInstances(context, await findInstances(context, args.instances), {
      requested: 'change of hardware requested',
      wait: options.wait,
      call: (client, { id }) => client.changeHardware({ params: { id }, body }),
    });
  },
});
