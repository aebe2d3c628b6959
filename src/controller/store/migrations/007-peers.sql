-- What was compiled before there were third-party peers names none.
update generations set intent = '{"peers": []}' || intent, fabric = '{"peers": []}' || fabric;
update plans set intent = '{"peers": []}' || intent where intent is not null;
update plans set fabric = '{"peers": []}' || fabric where fabric is not null;
