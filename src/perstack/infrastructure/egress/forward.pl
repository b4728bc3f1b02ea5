# The same as forward.py, for sandboxes that have Perl and neither Python nor Node.js: one process a connection.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;

my ($path, $port) = @ARGV;
my $listener = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $port, Listen => 128, ReuseAddr => 1);
if (!$listener && !$!{EADDRINUSE}) { exit 1 }
syswrite(STDOUT, "ready\n");
close(STDOUT);
exit 0 if !$listener;
$SIG{CHLD} = "IGNORE";
while (1) {
    my $client = $listener->accept() or next;
    next if fork();
    close($listener);
    my $proxy = IO::Socket::UNIX->new(Peer => $path) or exit 0;
    my %other = ($client => $proxy, $proxy => $client);
    my $open = IO::Select->new($client, $proxy);
    while ($open->count()) {
        for my $source ($open->can_read()) {
            my $target = $other{$source};
            my $size = sysread($source, my $data, 65536);
            my $done = 0;
            while ($size && $done < $size) {
                my $sent = syswrite($target, $data, $size - $done, $done);
                exit 0 if !defined $sent;
                $done += $sent;
            }
            next if $size;
            $open->remove($source);
            shutdown($target, 1);
        }
    }
    exit 0;
}
